#include "ksr_gru.h"

#include "ksr_gru_layer.h"
#include "ksr_gru_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up(ksr_gru_layer *gru, const ksr_node *node) {
  const ksr_slots kernel = KSR_GRU_KERNEL_SLOTS, recurrent_kernel = KSR_GRU_RECURRENT_KERNEL_SLOTS;
  const ksr_slots gates = KSR_GRU_RECURRENT_KERNEL_SLOTS_WITHOUT, candidate = KSR_GRU_CANDIDATE_KERNEL_SLOTS;
  ksr_recurrent *r = &gru->recurrent;
  ksr_recurrent_set_up(r, &gru->gates, node, &gru->reset_after, 1, KSR_GRU_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel =
      ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, gru->reset_after ? recurrent_kernel : gates);
  if (!gru->reset_after) gru->candidate_kernel = ksr_recurrent_matrix(r, node, KSR_GRU_CANDIDATE_KERNEL, candidate);
  gru->hidden_threshold = ksr_data_of(node, KSR_GRU_SHARED_INPUTS + KSR_HIDDEN_THRESHOLD);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_gru_layer *gru = data;
  const ksr_status status = ksr_check(&ksr_gru_schema, node);
  if (status != KSR_OK) return status;
  set_up(gru, node);
  *scratch_size = ksr_gru_scratch(gru);
  return ksr_recurrent_check(&gru->recurrent, gru->reset_after ? 0 : &gru->candidate_kernel);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_gru_layer *gru = data;
  ksr_recurrent *r = &gru->recurrent;
  for (int32_t sample = 0; sample < node->inputs[KSR_X].dims[0]; ++sample) {
    ksr_recurrent_begin(r, node, sample, KSR_GRU_SHARED_INPUTS, scratch);
    gru->h = ksr_state_of(node, sample, KSR_GRU_H);
    gru->held_h = ksr_state_of(node, sample, KSR_GRU_SHARED_INPUTS + KSR_HELD_H);
#if KSR_WITH_INT16
    if (r->is_int16) ksr_gru_run_i16(gru, scratch);
#endif
    if (r->is_int8 && !r->is_int16) ksr_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
    if (!r->is_int8) ksr_gru_run_f32(gru, scratch);
#endif
  }
}

const ksr_op ksr_gru = {"KsrGru", sizeof(ksr_gru_layer), &ksr_gru_schema, prepare, invoke};
