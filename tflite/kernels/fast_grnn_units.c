#include "activations.h"
#include "gates_other.h"
#include "ksr_gru_units.h"

/* z * before + (zeta * (1 - z) + nu) * g, with zeta in Q15, and z and nu with `shift` bits behind the point. */
static inline int16_t mixed(int32_t z, int32_t before, int32_t g, int32_t zeta, int32_t nu, int32_t shift) {
  const int32_t half = 1 << (shift - 1), open = (1 << shift) - z;
  const int32_t share = ksr_saturate_bits(((zeta * open + (1 << 14)) >> 15) + nu, 17);
  return (int16_t)ksr_saturate_i16(((z * before + half) >> shift) + ((share * g + half) >> shift));
}

void ksr_fast_grnn_units_other(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                               int32_t units) {
  const ksr_activations *a = &gates->activations;
  const int32_t shift = 15 - a->gate_bits, zeta = a->zeta >> 15, nu = a->nu >> (15 + a->gate_bits);
  for (int32_t first = 0; first < units; first += KSR_GATES_AT_ONCE, acc += KSR_GATES_AT_ONCE) {
    const int32_t count = ksr_smaller(units - first, KSR_GATES_AT_ONCE);
    int32_t z[KSR_GATES_AT_ONCE], g[KSR_GATES_AT_ONCE];
    ksr_pre_activations(gates, 0, acc, count, z);
    ksr_pre_activations(gates, 2, acc + 2 * stride, count, g);
    for (int32_t i = 0; i < count; ++i) g[i] = ksr_saturate_bits(z[i] + g[i], 31);
    a->recurrent_activation(z, count, gates->to_tanh, a->gate_bits);
    ksr_make_candidates(gates, count, g);
    for (int32_t i = 0; i < count; ++i, ++state) *state = mixed(z[i], *state, g[i], zeta, nu, shift);
  }
}

void ksr_fast_grnn_units_usual(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                               int32_t units) {
  const ksr_gates by = *gates;
  const int32_t *more = acc + 2 * stride, bits = by.to_tanh, state_bits = by.activations.state_bits;
  const int32_t zeta = by.activations.zeta >> 15, nu = by.activations.nu >> 15;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t a = ksr_multiply(acc[i], by.multiplier[0]), z = ksr_interpolate(ksr_sigmoid_table, a, bits + 1);
    const int32_t q15 = ksr_interpolate(ksr_tanh_table, a + ksr_multiply(more[i], by.multiplier[2]), bits);
    state[i] = mixed(z, state[i], ksr_of_q15(q15, state_bits), zeta, nu, 15);
  }
}
