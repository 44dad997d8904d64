#include "gru_units.h"
#include "ksr_gru_units.h"

void ksr_gru_units_usual_i8(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
  ksr_gru_units_i8(gates, acc, stride, state, units);
}

void ksr_light_gru_units_usual_i8(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                  int32_t units) {
  ksr_light_gru_units_i8(gates, acc, stride, state, units);
}

void ksr_gru_units_after_reset_usual_i8(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                        int32_t units) {
  const int32_t *x_acc = acc + 2 * stride, *y_acc = acc + 3 * stride;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i8(gates, 0, acc[i]);
    state[i] = (int16_t)ksr_gru_unit_i8(gates, z, KSR_Q15_ONE, x_acc[i], y_acc[i], state[i]);
  }
}
