#include "activations.h"
#include "ksr_activations.h"

void ksr_activate_softsign(void *values, int32_t count, int32_t more, int32_t bits) {
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) {
    const uint32_t magnitude = (uint32_t)(x[i] < 0 ? -x[i] : x[i]), divisor = (1u << (7 + more)) + magnitude;
    const int32_t q15 = KSR_Q15_ONE - (int32_t)(((1u << (22 + more)) + (divisor >> 1)) / divisor);
    x[i] = ksr_of_q15(x[i] < 0 ? -q15 : q15, bits);
  }
}
