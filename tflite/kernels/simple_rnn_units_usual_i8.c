#include "gates_i8.h"
#include "ksr_simple_rnn_layer.h"

void ksr_simple_rnn_units_usual_i8(const ksr_simple_rnn_layer *rnn, const int32_t *acc, void *h, void *output) {
  int8_t *operand = h, *y = output;
  const ksr_gates gates = rnn->gates;
  const int32_t units = rnn->recurrent.units;
  for (int32_t i = 0; i < units; ++i) {
    const int32_t hidden = ksr_look_up(ksr_tanh_table, ksr_multiply(acc[i], gates.multiplier[0]));
    operand[i] = (int8_t)ksr_operand_i8(&gates, hidden);
    if (y) y[i] = ksr_output_i8(&gates, hidden);
  }
}
