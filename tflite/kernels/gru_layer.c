#include "ksr_gru_layer.h"

#include "recurrent.h"

uint32_t ksr_gru_scratch(const ksr_gru_layer *layer) {
  /* The state too, in case it has no tensor. */
  const uint32_t size = (uint32_t)(layer->recurrent.is_integer ? sizeof(int16_t) : sizeof(float));
  return ksr_recurrent_scratch(&layer->recurrent) +
         size * (uint32_t)(layer->recurrent.units + layer->rank + layer->recurrent_rank);
}
