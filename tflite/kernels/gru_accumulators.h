/* Where the accumulators of a GRU in integers lie. */
#ifndef KSR_GRU_ACCUMULATORS_H_
#define KSR_GRU_ACCUMULATORS_H_

#include "ksr_gru_layer.h"

/* Where everything is held that a step multiplies, it needs nothing but the sums. */
static inline int32_t *ksr_gru_accumulators(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const int holds_all = KSR_WITH_HOLDS && r->hidden_threshold &&
                        (gru->reset_gate != KSR_RESET_BEFORE || gru->reset_threshold);
  return holds_all && !r->output_scales ? r->sums : scratch;
}

#endif /* KSR_GRU_ACCUMULATORS_H_ */
