#include "ksr_simple_rnn_layer.h"

#include "recurrent.h"

uint32_t ksr_simple_rnn_scratch(const ksr_simple_rnn_layer *layer) {
  const ksr_recurrent *r = &layer->recurrent;
  /* Includes the state, which may have no tensor. */
  const uint32_t size = r->is_int16 ? sizeof(int16_t) : r->is_integer ? sizeof(int8_t) : sizeof(float);
  return ksr_recurrent_scratch(r) + size * (uint32_t)r->units;
}
