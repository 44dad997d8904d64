#include "ksr_lstm_layer.h"
#include "units_i16.h"

void ksr_lstm_units_usual_i16(const ksr_lstm_layer *lstm, int32_t *acc, void *h, int16_t *c, void *output) {
  const ksr_recurrent *r = &lstm->recurrent;
  const ksr_gates *gates = &lstm->gates;
  ksr_lstm_units_i16(gates, lstm->cell_bits, acc, r->stride, c, h, r->units);
  if (output) ksr_write_states_i16(gates->output, 16, h, r->units, output);
  ksr_write_states_i16(gates->operand, r->operand_bits, h, r->units, h);
}
