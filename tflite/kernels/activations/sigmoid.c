#include "activations.h"
#include "ksr_activations.h"

void ksr_activate_sigmoid(void *values, int32_t count, int32_t more, int32_t bits) {
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) x[i] = ksr_of_q15(ksr_interpolate(ksr_sigmoid_table, x[i], more + 1), bits);
}

/* max(x, 0) - u sigmoid(-u), with u = |x| */
void ksr_activate_silu(void *values, int32_t count, int32_t more, int32_t bits) {
  const int32_t most = 8 << (7 + more);
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t magnitude = x[i] < 0 ? -x[i] : x[i], fall = magnitude < most ? magnitude : most;
    const int32_t product = fall * ksr_interpolate(ksr_sigmoid_table, -fall, more + 1);
    x[i] = ksr_less(x[i], (product + (64 << more)) >> (7 + more), more, bits);
  }
}
