/* The accumulators of master gates; see ksr_on_lstm.h. */
#ifndef KSR_MASTER_GATES_H_
#define KSR_MASTER_GATES_H_

#include "ksr_on_lstm_layer.h"

static inline int32_t ksr_chunks(const ksr_on_lstm_layer *layer) {
  return (layer->lstm.recurrent.units + layer->chunk_size - 1) / layer->chunk_size;
}

/* Entries of a master gate in the first of its two slots; the second has the rest. */
static inline int32_t ksr_first_entries(int32_t chunks) { return (chunks + 1) / 2; }

/* Where entry `chunk` is, of f~ (slot 0) or i~ (slot 2). */
static inline int32_t ksr_entry_place(const ksr_recurrent *r, int32_t slot, int32_t chunk, int32_t chunks) {
  const int32_t first = ksr_first_entries(chunks), is_second = chunk >= first;
  return (slot + is_second) * r->stride + r->units + chunk - (is_second ? first : 0);
}

#endif /* KSR_MASTER_GATES_H_ */
