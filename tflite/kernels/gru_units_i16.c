#include "gates_i16.h"
#include "ksr_gru_units.h"

static inline void update(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units,
                          int32_t bits, int32_t resets) {
  const ksr_gates g = *gates;
  const int32_t *r_acc = acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i16(&g, 0, acc[i], bits);
    const int32_t r = resets ? ksr_sigmoid_i16(&g, 1, r_acc[i], bits) : KSR_Q15_ONE;
    const int32_t x = ksr_multiply(x_acc[i], g.multiplier[2]), y = ksr_multiply(y_acc[i], g.multiplier[3]);
    const int32_t candidate = ksr_interpolate(ksr_tanh_table, x + ksr_product_over_16(y, r), bits);
    state[i] = (int16_t)ksr_mix(z, state[i], candidate);
  }
}

void ksr_gru_units_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
  /* The usual number of bits as a constant, so that the compiler shifts and saturates by it. */
  if (gates->to_tanh == KSR_USUAL_BITS) {
    update(gates, acc, stride, state, units, KSR_USUAL_BITS, 1);
  } else {
    update(gates, acc, stride, state, units, gates->to_tanh, 1);
  }
}

void ksr_gru_units_after_reset_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                   int32_t units) {
  update(gates, acc, stride, state, units, gates->to_tanh, 0);
}

void ksr_light_gru_units_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                             int32_t units) {
  const ksr_gates g = *gates;
  const int32_t *g_acc = acc + 2 * stride, bits = g.to_tanh;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i16(&g, 0, acc[i], bits);
    const int32_t candidate = ksr_interpolate(ksr_tanh_table, ksr_multiply(g_acc[i], g.multiplier[2]), bits);
    state[i] = (int16_t)ksr_mix(z, state[i], candidate);
  }
}
