#include "ksr_gru.h"

#include "gru_steps.h"

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_gru_node *gru = data;
  ksr_sizes sizes;
  const ksr_status status =
      ksr_recurrent_read(&gru->recurrent, &ksr_gru_schema, node, &gru->options, &sizes, KSR_GRU_SHARED_INPUTS);
  if (status != KSR_OK) return status;
  gru->hidden_threshold = ksr_data_of(node, KSR_GRU_SHARED_INPUTS + KSR_HIDDEN_THRESHOLD);
  if (!gru->options.reset_after) {
    gru->candidate_kernel =
        ksr_matrix_of(&ksr_gru_schema, node, &gru->options.recurrent.version, &sizes, KSR_GRU_CANDIDATE_KERNEL);
    if (!ksr_recurrent_candidate_fits(&gru->recurrent, &gru->candidate_kernel)) {
      return KSR_STATUS(KSR_OVERFLOW, KSR_BIAS);
    }
  }
  if (gru->recurrent.is_int8) gru->gates = ksr_gates_of(&gru->recurrent.options);
  /* The states too, in case they have no tensors. */
  const uint32_t size = (uint32_t)(gru->recurrent.is_int8 ? sizeof(int16_t) : sizeof(float));
  const uint32_t states = (gru->hidden_threshold ? 2 * size : size) * (uint32_t)gru->recurrent.options.units;
  *scratch_size = ksr_recurrent_scratch(&gru->recurrent) + states;
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
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

const ksr_op ksr_gru = {"KsrGru", sizeof(ksr_gru_node), &ksr_gru_schema, prepare, invoke};
