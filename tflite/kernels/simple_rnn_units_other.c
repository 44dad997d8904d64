#include "gates_other.h"
#include "ksr_simple_rnn_layer.h"

void ksr_simple_rnn_units_other(const ksr_simple_rnn_layer *rnn, const int32_t *acc, void *h, void *output) {
  const ksr_recurrent *r = &rnn->recurrent;
  const ksr_gates *gates = &rnn->gates;
  for (int32_t first = 0; first < r->units; first += KSR_GATES_AT_ONCE) {
    const int32_t count = ksr_smaller(r->units - first, KSR_GATES_AT_ONCE);
    int32_t hidden[KSR_GATES_AT_ONCE];
    ksr_pre_activations(gates, 0, acc + first, count, hidden);
    ksr_make_candidates(gates, count, hidden);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t operand = ksr_saturate_bits(ksr_rescale(hidden[i], gates->operand), r->operand_bits);
      if (r->is_int16) {
        ((int16_t *)h)[first + i] = (int16_t)operand;
        if (output) ((int16_t *)output)[first + i] = ksr_output_i16(gates, hidden[i]);
      } else {
        ((int8_t *)h)[first + i] = (int8_t)operand;
        if (output) ((int8_t *)output)[first + i] = ksr_output_i8(gates, hidden[i]);
      }
    }
  }
}
