/* A checked KsrEventGru node, and the loops over its time steps. */
#ifndef KSR_EVENT_GRU_STEPS_H_
#define KSR_EVENT_GRU_STEPS_H_
/* Sources: event_gru_i8.c KSR_WITH_INT16:event_gru_i16.c KSR_WITH_FLOAT32:event_gru_f32.c */

#include "gates_i8.h"
#include "ksr_event_gru.h"
#include "recurrent.h"

typedef struct ksr_event_gru_node {
  ksr_recurrent recurrent;
  ksr_event_gru_options options;
  const void *threshold;
  ksr_gates gates; /* int8 models only */
  void *y, *c, *trace; /* of an invocation; NULL: zero at its start, kept in scratch */
} ksr_event_gru_node;

uint32_t ksr_event_gru_scratch_i8(const ksr_event_gru_node *gru);
uint32_t ksr_event_gru_scratch_i16(const ksr_event_gru_node *gru);
uint32_t ksr_event_gru_scratch_f32(const ksr_event_gru_node *gru);
void ksr_event_gru_run_i8(const ksr_event_gru_node *gru, void *scratch);
void ksr_event_gru_run_i16(const ksr_event_gru_node *gru, void *scratch);
void ksr_event_gru_run_f32(const ksr_event_gru_node *gru, void *scratch);

#endif /* KSR_EVENT_GRU_STEPS_H_ */
