#include "ksr_lstm_layer.h"

#include "recurrent.h"

uint32_t ksr_lstm_scratch(const ksr_lstm_layer *layer) {
  const ksr_recurrent *r = &layer->recurrent;
  /* Includes the states, which may have no tensors. */
  const uint32_t h_size = r->is_int16 ? sizeof(int16_t) : sizeof(int8_t);
  const uint32_t states = r->is_integer ? (uint32_t)sizeof(int16_t) + h_size : 2 * (uint32_t)sizeof(float);
  return ksr_recurrent_scratch(r) + states * (uint32_t)r->units;
}
