#include "ksr_lstm_layer.h"
#include "lstm_units.h"

void ksr_lstm_units_usual_i8(const ksr_lstm_layer *lstm, int32_t *acc, void *h, int16_t *c, void *output) {
  const ksr_recurrent *r = &lstm->recurrent;
  ksr_lstm_units_i8(&lstm->gates, lstm->cell_bits, acc, r->stride, c, h, output, r->units);
}
