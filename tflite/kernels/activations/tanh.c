#include "activations.h"
#include "ksr_activations.h"

void ksr_activate_tanh(void *values, int32_t count, int32_t more, int32_t bits) {
  int32_t *x = values;
  for (int32_t i = 0; i < count; ++i) x[i] = ksr_of_q15(ksr_interpolate(ksr_tanh_table, x[i], more), bits);
}
