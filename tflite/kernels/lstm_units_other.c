#include "lstm_units_any.h"

void ksr_lstm_units_other(const ksr_lstm_layer *lstm, int32_t *acc, void *h, int16_t *c, void *output) {
  ksr_lstm_units_any(lstm, 0, acc, h, c, output);
}
