#include "ksr_gru_layer.h"

#include "recurrent.h"

uint32_t ksr_gru_scratch(const ksr_gru_layer *layer) {
  /* The states too, in case they have no tensors. */
  const uint32_t size = (uint32_t)(layer->recurrent.is_integer ? sizeof(int16_t) : sizeof(float));
  const uint32_t states = layer->hidden_threshold ? 2 * size : size;
  return ksr_recurrent_scratch(&layer->recurrent) + states * (uint32_t)layer->recurrent.units;
}
