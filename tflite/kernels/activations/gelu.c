#include "activations.h"
#include "ksr_activations.h"

extern const int16_t ksr_gelu_table[1026];

/* clang 14 crashes when it vectorises this loop for Cortex-M55. */
#ifdef __clang__
#define ONE_BY_ONE _Pragma("clang loop vectorize(disable)")
#else
#define ONE_BY_ONE
#endif

/* max(x, 0) - u Phi(-u), with u = |x| */
void ksr_activate_gelu(void *values, int32_t count, int32_t more, int32_t bits) {
  int32_t *x = values;
  ONE_BY_ONE
  for (int32_t i = 0; i < count; ++i) {
    x[i] = ksr_less(x[i], ksr_fall(ksr_gelu_table, x[i] < 0 ? -x[i] : x[i], more), more, bits);
  }
}
