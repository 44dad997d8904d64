#include "gru_units.h"

void ksr_gru_units_i8_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                               int32_t units) {
  const ksr_gates g = *gates;
  const int32_t *r_acc = acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i8(&g, 0, acc[i]), r = ksr_sigmoid_i8(&g, 1, r_acc[i]);
    state[i] = (int16_t)ksr_gru_unit_i8(&g, z, r, x_acc[i], y_acc[i], state[i]);
  }
}

void ksr_light_gru_units_i8_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                     int32_t units) {
  const ksr_gates g = *gates;
  const int32_t *g_acc = acc + 2 * stride;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t k = ksr_multiply(g_acc[i], g.multiplier[2]) >> g.to_tanh;
    state[i] = (int16_t)ksr_mix(ksr_sigmoid_i8(&g, 0, acc[i]), state[i], ksr_look_up(ksr_tanh_table, k));
  }
}

void ksr_write_states_i8_portable(ksr_rescaling by, int32_t zero_point, const int16_t *state, int32_t units,
                                  int8_t *output) {
  int32_t i = 0;
#if !KSR_SMALL
  for (; i + 2 <= units; i += 2) {
    const int32_t first = state[i], second = state[i + 1];
    output[i] = (int8_t)ksr_saturate_i8(ksr_rescale(first, by) + zero_point);
    output[i + 1] = (int8_t)ksr_saturate_i8(ksr_rescale(second, by) + zero_point);
  }
#endif
  for (; i < units; ++i) output[i] = (int8_t)ksr_saturate_i8(ksr_rescale(state[i], by) + zero_point);
}
