#include "activations.h"
#include "ksr_activations.h"

extern const int16_t ksr_rise_table[1026];

/* max(x, 0) - (1 - exp(-u)), with u = max(-x, 0) */
void ksr_activate_elu(void *values, int32_t count, int32_t more, int32_t bits) {
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) {
    x[i] = ksr_less(x[i], x[i] < 0 ? ksr_fall(ksr_rise_table, -x[i], more) : 0, more, bits);
  }
}

void ksr_activate_selu(void *values, int32_t count, int32_t more, int32_t bits) {
  enum { MORE = 3323, FALL = 28805 }; /* scale - 1, Q16; scale * alpha, Q14 */
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t fall = x[i] < 0 ? (ksr_fall(ksr_rise_table, -x[i], more) * FALL) >> 14 : 0;
    x[i] = ksr_less(x[i] + ksr_product_over_16(x[i], MORE), fall, more, bits);
  }
}

/* 2^bits exp(x - bits ln 2) */
void ksr_activate_exponential(void *values, int32_t count, int32_t more, int32_t bits) {
  enum { LN_2 = 726817 }; /* Q20 */
  const int32_t top = (bits * LN_2) >> (13 - more);
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t fall = x[i] < top ? ksr_fall(ksr_rise_table, top - x[i], more) : 0;
    x[i] = ksr_saturate_state(KSR_Q15_ONE - fall);
  }
}
