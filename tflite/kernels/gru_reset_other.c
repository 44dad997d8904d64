#include "gates_other.h"
#include "ksr_gru_layer.h"

void ksr_gru_reset_other(const ksr_gates *gates, const int32_t *acc, const int16_t *h, int32_t units, int16_t *reset) {
  const int32_t gate_bits = gates->activations.gate_bits;
  for (int32_t first = 0; first < units; first += KSR_GATES_AT_ONCE) {
    const int32_t count = ksr_smaller(units - first, KSR_GATES_AT_ONCE);
    int32_t gate[KSR_GATES_AT_ONCE];
    ksr_make_gates(gates, 1, acc + first, count, gate);
    for (int32_t i = first; i < first + count; ++i) reset[i] = (int16_t)ksr_times(gate[i - first], h[i], gate_bits);
  }
}
