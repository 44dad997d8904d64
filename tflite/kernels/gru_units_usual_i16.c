#include "ksr_gru_units.h"
#include "units_i16.h"

void ksr_gru_units_usual_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                             int32_t units) {
  ksr_gru_units_i16(gates, acc, stride, state, units);
}

void ksr_light_gru_units_usual_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                   int32_t units) {
  ksr_light_gru_units_i16(gates, acc, stride, state, units);
}

void ksr_gru_units_after_reset_usual_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                         int32_t units) {
  const int32_t *x_acc = acc + 2 * stride, *y_acc = acc + 3 * stride, bits = gates->to_tanh;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i16(gates, 0, acc[i], bits);
    const int32_t x = ksr_multiply(x_acc[i], gates->multiplier[2]), y = ksr_multiply(y_acc[i], gates->multiplier[3]);
    const int32_t sum = x + ksr_product_over_16(y, KSR_Q15_ONE);
    state[i] = (int16_t)ksr_mix(z, state[i], ksr_interpolate(ksr_tanh_table, sum, bits));
  }
}
