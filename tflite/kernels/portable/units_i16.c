#include "units_i16.h"

#if KSR_WITH_INT16

/* The usual number of bits is a constant below, so that the compiler shifts and saturates by it. */
KSR_INLINE void update_gru(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units,
                           int32_t bits) {
  const ksr_gates g = *gates;
  const int32_t *r_acc = acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i16(&g, 0, acc[i], bits), r = ksr_sigmoid_i16(&g, 1, r_acc[i], bits);
    const int32_t x = ksr_multiply(x_acc[i], g.multiplier[2]), y = ksr_multiply(y_acc[i], g.multiplier[3]);
    const int32_t candidate = ksr_interpolate(ksr_tanh_table, x + ksr_product_over_16(y, r), bits);
    state[i] = (int16_t)ksr_mix(z, state[i], candidate);
  }
}

void ksr_gru_units_i16_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                int32_t units) {
  if (gates->to_tanh == KSR_USUAL_BITS) {
    update_gru(gates, acc, stride, state, units, KSR_USUAL_BITS);
  } else {
    update_gru(gates, acc, stride, state, units, gates->to_tanh);
  }
}

void ksr_light_gru_units_i16_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                      int32_t units) {
  const ksr_gates g = *gates;
  const int32_t *g_acc = acc + 2 * stride, bits = g.to_tanh;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i16(&g, 0, acc[i], bits);
    state[i] = (int16_t)ksr_mix(z, state[i], ksr_tanh_i16(&g, 2, g_acc[i], bits));
  }
}

KSR_INLINE void update_lstm(const ksr_gates *gates, int32_t cell_bits, const int32_t *acc, int32_t stride, int16_t *c,
                            int16_t *h, int32_t units, int32_t bits) {
  const ksr_gates a = *gates;
  const int32_t *f_acc = acc + stride, *g_acc = f_acc + stride, *o_acc = g_acc + stride;
  for (int32_t u = 0; u < units; ++u) {
    const int32_t i = ksr_sigmoid_i16(&a, 0, acc[u], bits), f = ksr_sigmoid_i16(&a, 1, f_acc[u], bits);
    const int32_t g = ksr_tanh_i16(&a, 2, g_acc[u], bits), o = ksr_sigmoid_i16(&a, 3, o_acc[u], bits);
    const int32_t cell = ksr_saturate((f * c[u] + ((i * g) >> cell_bits) + (1 << 14)) >> 15, INT16_MIN, INT16_MAX);
    c[u] = (int16_t)cell;
    h[u] = (int16_t)((o * ksr_interpolate(ksr_tanh_table, cell, 8 - cell_bits) + (1 << 14)) >> 15);
  }
}

void ksr_lstm_units_i16_portable(const ksr_gates *gates, int32_t cell_bits, const int32_t *acc, int32_t stride,
                                 int16_t *c, int16_t *h, int32_t units) {
  if (gates->to_tanh == KSR_USUAL_BITS) {
    update_lstm(gates, cell_bits, acc, stride, c, h, units, KSR_USUAL_BITS);
  } else {
    update_lstm(gates, cell_bits, acc, stride, c, h, units, gates->to_tanh);
  }
}

void ksr_write_states_i16_portable(ksr_rescaling by, int32_t bits, const int16_t *state, int32_t units,
                                   int16_t *output) {
  const int32_t most = (1 << (bits - 1)) - 1;
  for (int32_t i = 0; i < units; ++i) output[i] = (int16_t)ksr_saturate(ksr_rescale(state[i], by), -most - 1, most);
}

#endif /* KSR_WITH_INT16 */
