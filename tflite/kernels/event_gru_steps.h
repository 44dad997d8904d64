/* A checked KsrEventGru node, and the loops over its time steps. */
#ifndef KSR_EVENT_GRU_STEPS_H_
#define KSR_EVENT_GRU_STEPS_H_

#include "ksr_event_gru.h"
#include "ksr_matrix.h"

typedef struct ksr_event_gru_node {
  ksr_event_gru_options options;
  int32_t steps, inputs, stride;
  ksr_matrix kernel, recurrent_kernel;
  const void *x, *bias, *threshold;
  void *output;
  void *state_y, *state_c, *state_trace; /* NULL: zero at each start, kept in scratch */
} ksr_event_gru_node;

uint32_t ksr_event_gru_scratch_i8(const ksr_event_gru_node *gru);
uint32_t ksr_event_gru_scratch_f32(const ksr_event_gru_node *gru);
void ksr_event_gru_run_i8(const ksr_event_gru_node *gru, void *scratch);
void ksr_event_gru_run_f32(const ksr_event_gru_node *gru, void *scratch);

#endif /* KSR_EVENT_GRU_STEPS_H_ */
