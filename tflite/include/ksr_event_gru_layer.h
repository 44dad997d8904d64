/* An event-thresholded GRU; see ksr_event_gru.h. */
#ifndef KSR_EVENT_GRU_LAYER_H_
#define KSR_EVENT_GRU_LAYER_H_
/* Sources: event_gru_layer.c event_gru_i8.c KSR_WITH_INT16:event_gru_i16.c KSR_WITH_FLOAT32:event_gru_f32.c */

#include "ksr_gru_units.h"
#include "ksr_recurrent_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KSR_READOUT_EVENT = 0, KSR_READOUT_CELL = 1, KSR_READOUT_TRACE = 2 };

typedef struct ksr_event_gru_layer {
  ksr_recurrent recurrent;
  ksr_gates gates;      /* float layers use the activations only */
  ksr_gru_units *units; /* integer layers only */
  int32_t readout;
  int32_t reset; /* of the state */
  int32_t trace_rate;
  int32_t reset_gate; /* KSR_NO_RESET_GATE or KSR_RESET_AFTER */
  const void *threshold;
  void *y, *c, *trace; /* states; NULL: zero at the start, kept in scratch */
} ksr_event_gru_layer;

/* Bytes of scratch memory that its functions need, aligned to 16. */
uint32_t ksr_event_gru_scratch(const ksr_event_gru_layer *layer);

void ksr_event_gru_run_i8(const ksr_event_gru_layer *layer, void *scratch);
void ksr_event_gru_run_i16(const ksr_event_gru_layer *layer, void *scratch);
void ksr_event_gru_run_f32(const ksr_event_gru_layer *layer, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_EVENT_GRU_LAYER_H_ */
