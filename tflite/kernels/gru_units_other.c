#include "gates_other.h"
#include "ksr_gru_units.h"

static void update(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units,
                   int32_t reset_gate) {
  const int32_t gate_bits = gates->activations.gate_bits, half = 1 << (14 - gate_bits), shift = 15 - gate_bits;
  for (int32_t first = 0; first < units; first += KSR_GATES_AT_ONCE, acc += KSR_GATES_AT_ONCE) {
    const int32_t count = ksr_smaller(units - first, KSR_GATES_AT_ONCE);
    int32_t z[KSR_GATES_AT_ONCE], r[KSR_GATES_AT_ONCE], g[KSR_GATES_AT_ONCE];
    ksr_make_gates(gates, 0, acc, count, z);
    if (reset_gate == KSR_RESET_AFTER) ksr_make_gates(gates, 1, acc + stride, count, r);
    ksr_pre_activations(gates, 2, acc + 2 * stride, count, g);
    for (int32_t i = 0; reset_gate && i < count; ++i) {
      const int32_t open = reset_gate == KSR_RESET_AFTER ? r[i] : KSR_Q15_ONE >> gate_bits;
      g[i] += ksr_product_over_16(ksr_multiply(acc[i + 3 * stride], gates->multiplier[3]), open);
    }
    ksr_make_candidates(gates, count, g);
    for (int32_t i = 0; i < count; ++i, ++state) {
      *state = (int16_t)ksr_saturate_i16(g[i] + ((z[i] * (*state - g[i]) + half) >> shift));
    }
  }
}

void ksr_gru_units_other(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
  update(gates, acc, stride, state, units, KSR_RESET_AFTER);
}

void ksr_gru_units_after_reset_other(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                     int32_t units) {
  update(gates, acc, stride, state, units, KSR_RESET_BEFORE);
}

void ksr_light_gru_units_other(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                               int32_t units) {
  update(gates, acc, stride, state, units, KSR_NO_RESET_GATE);
}

void ksr_uncoupled_units_other(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                               int32_t units) {
  const int32_t gate_bits = gates->activations.gate_bits, half = 1 << (14 - gate_bits), shift = 15 - gate_bits;
  for (int32_t first = 0; first < units; first += KSR_GATES_AT_ONCE, acc += KSR_GATES_AT_ONCE) {
    const int32_t count = ksr_smaller(units - first, KSR_GATES_AT_ONCE);
    int32_t z[KSR_GATES_AT_ONCE], t[KSR_GATES_AT_ONCE], g[KSR_GATES_AT_ONCE];
    ksr_make_gates(gates, 0, acc, count, z);
    ksr_make_gates(gates, 1, acc + stride, count, t);
    ksr_pre_activations(gates, 2, acc + 2 * stride, count, g);
    ksr_make_candidates(gates, count, g);
    for (int32_t i = 0; i < count; ++i, ++state) {
      *state = (int16_t)ksr_saturate_i16((z[i] * *state + t[i] * g[i] + half) >> shift);
    }
  }
}
