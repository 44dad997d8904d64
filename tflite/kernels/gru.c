#include "ksr_gru.h"

#include "gru_steps.h"

void ksr_gru_set_up(const ksr_node *node, void *data) {
  const ksr_slots kernel = KSR_GRU_KERNEL_SLOTS, recurrent_kernel = KSR_GRU_RECURRENT_KERNEL_SLOTS;
  const ksr_slots gates = KSR_GRU_RECURRENT_KERNEL_SLOTS_WITHOUT, candidate = KSR_GRU_CANDIDATE_KERNEL_SLOTS;
  ksr_gru_node *gru = data;
  ksr_recurrent *r = &gru->recurrent;
  ksr_recurrent_set_up(r, node, &gru->options.reset_after, sizeof(gru->options), KSR_GRU_SHARED_INPUTS);
  const int32_t reset_after = gru->options.reset_after;
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, reset_after ? recurrent_kernel : gates);
  if (!reset_after) gru->candidate_kernel = ksr_recurrent_matrix(r, node, KSR_GRU_CANDIDATE_KERNEL, candidate);
  gru->hidden_threshold = ksr_data_of(node, KSR_GRU_SHARED_INPUTS + KSR_HIDDEN_THRESHOLD);
  if (r->is_int8) gru->gates = ksr_gates_of(&r->options);
}

void ksr_gru_invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_gru_node *gru = data;
  for (int32_t sample = 0; sample < gru->recurrent.samples; ++sample) {
    ksr_recurrent_begin(&gru->recurrent, node, sample, scratch);
    gru->h = ksr_state_of(node, sample, KSR_GRU_H);
    gru->held_h = ksr_state_of(node, sample, KSR_GRU_SHARED_INPUTS + KSR_HELD_H);
#if KSR_WITH_INT16
    if (gru->recurrent.is_int16) ksr_gru_run_i16(gru, scratch);
#endif
    if (gru->recurrent.is_int8 && !gru->recurrent.is_int16) ksr_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
    if (!gru->recurrent.is_int8) ksr_gru_run_f32(gru, scratch);
#endif
  }
}
