#include "ksr_event_gru_layer.h"

#include "recurrent.h"

uint32_t ksr_event_gru_scratch(const ksr_event_gru_layer *layer) {
  const ksr_recurrent *r = &layer->recurrent;
  const uint32_t units = (uint32_t)r->units, state_size = ksr_aligned(units * (uint32_t)sizeof(int16_t));
  const uint32_t has_trace = layer->readout == KSR_READOUT_TRACE;
  /* The states too, in case they have no tensors; in integers y is a list of events. */
  if (!r->is_integer) return ksr_recurrent_scratch(r) + (2 + has_trace) * units * (uint32_t)sizeof(float);
  return ksr_recurrent_scratch(r) + units * (uint32_t)sizeof(ksr_event) + (1 + has_trace) * state_size;
}
