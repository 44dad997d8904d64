/* hard_sigmoid and hard_tanh, states and gates in Q15, without a call for each function. */
#include "activations.h"
#include "ksr_gru_units.h"

KSR_INLINE void update(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units,
                       int32_t reset_gate) {
  const ksr_gates g = *gates;
  const int32_t *r_acc = acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  const int32_t more = g.to_tanh, one = 1 << (7 + more), to_q15 = 1 << (8 - more);
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_hard_sigmoid(ksr_multiply(acc[i], g.multiplier[0]), more);
    int32_t x = ksr_multiply(x_acc[i], g.multiplier[2]);
    if (reset_gate) {
      const int32_t after = reset_gate == KSR_RESET_AFTER;
      const int32_t r = after ? ksr_hard_sigmoid(ksr_multiply(r_acc[i], g.multiplier[1]), more) : KSR_Q15_ONE;
      x += ksr_product_over_16(ksr_multiply(y_acc[i], g.multiplier[3]), r);
    }
    const int32_t candidate = ksr_saturate_state(ksr_saturate(x, -one, one) * to_q15);
    state[i] = (int16_t)ksr_mix(z, state[i], candidate);
  }
}

void ksr_gru_units_hard(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
  update(gates, acc, stride, state, units, KSR_RESET_AFTER);
}

void ksr_gru_units_after_reset_hard(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                    int32_t units) {
  update(gates, acc, stride, state, units, KSR_RESET_BEFORE);
}

void ksr_light_gru_units_hard(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                              int32_t units) {
  update(gates, acc, stride, state, units, KSR_NO_RESET_GATE);
}
