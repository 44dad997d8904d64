#include "activations.h"
#include "ksr_activations.h"

/* From Q(7 + more) to Q(15 - bits). */
static void shift(int32_t *x, int32_t count, int32_t left) {
  if (left >= 0) {
    for (int32_t i = 0; i < count; ++i) x[i] = ksr_saturate_state(ksr_shifted(x[i], left));
  } else {
    for (int32_t i = 0; i < count; ++i) x[i] = ksr_saturate_state(ksr_shifted(x[i], left));
  }
}

static void clip(int32_t *x, int32_t count, int32_t low, int32_t high, int32_t left) {
  for (int32_t i = 0; i < count; ++i) x[i] = ksr_saturate(x[i], low, high);
  shift(x, count, left);
}

void ksr_activate_linear(void *values, int32_t count, int32_t more, int32_t bits) {
  shift(values, count, 8 - bits - more);
}

void ksr_activate_relu(void *values, int32_t count, int32_t more, int32_t bits) {
  clip(values, count, 0, INT32_MAX, 8 - bits - more);
}

void ksr_activate_relu6(void *values, int32_t count, int32_t more, int32_t bits) {
  clip(values, count, 0, 6 << (7 + more), 8 - bits - more);
}

void ksr_activate_hard_tanh(void *values, int32_t count, int32_t more, int32_t bits) {
  clip(values, count, -(1 << (7 + more)), 1 << (7 + more), 8 - bits - more);
}

void ksr_activate_leaky_relu(void *values, int32_t count, int32_t more, int32_t bits) {
  enum { SLOPE = 13107 }; /* 0.2, Q16 */
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) x[i] = x[i] < 0 ? ksr_product_over_16(x[i], SLOPE) : x[i];
  shift(x, count, 8 - bits - more);
}

void ksr_activate_hard_sigmoid(void *values, int32_t count, int32_t more, int32_t bits) {
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) x[i] = ksr_of_q15(ksr_hard_sigmoid(x[i], more), bits);
}
