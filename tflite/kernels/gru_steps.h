/* A checked KsrGru node, and the loops over its time steps. */
#ifndef KSR_GRU_STEPS_H_
#define KSR_GRU_STEPS_H_
/* Sources: gru_i8.c KSR_WITH_INT16:gru_i16.c KSR_WITH_FLOAT32:gru_f32.c */

#include "gates_i8.h"
#include "ksr_gru.h"
#include "recurrent.h"

typedef struct ksr_gru_node {
  ksr_recurrent recurrent;
  ksr_gru_options options;
  ksr_matrix candidate_kernel; /* reset before only */
  ksr_gates gates;              /* int8 models only */
  const void *hidden_threshold; /* NULL: h is not held */
  void *h, *held_h; /* of an invocation; NULL: zero at its start, kept in scratch */
} ksr_gru_node;

void ksr_gru_run_i8(const ksr_gru_node *gru, void *scratch);
void ksr_gru_run_i16(const ksr_gru_node *gru, void *scratch);
void ksr_gru_run_f32(const ksr_gru_node *gru, void *scratch);

#endif /* KSR_GRU_STEPS_H_ */
