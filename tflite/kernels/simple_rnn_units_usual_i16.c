#include "gates_i16.h"
#include "ksr_simple_rnn_layer.h"

void ksr_simple_rnn_units_usual_i16(const ksr_simple_rnn_layer *rnn, const int32_t *acc, void *h, void *output) {
  int16_t *operand = h, *y = output;
  const ksr_gates gates = rnn->gates;
  const int32_t units = rnn->recurrent.units;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t hidden = ksr_tanh_i16(&gates, 0, acc[i], gates.to_tanh);
    operand[i] = (int16_t)ksr_saturate_bits(ksr_rescale(hidden, gates.operand), rnn->recurrent.operand_bits);
    if (y) y[i] = ksr_output_i16(&gates, hidden);
  }
}
