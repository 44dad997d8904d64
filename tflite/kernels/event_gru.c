#include "ksr_event_gru.h"

#include "event_gru_steps.h"

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_event_gru_node *gru = data;
  ksr_sizes sizes;
  const ksr_status status = ksr_recurrent_read(&gru->recurrent, &ksr_event_gru_schema, node, &gru->options, &sizes,
                                               KSR_EVENT_GRU_SHARED_INPUTS);
  if (status != KSR_OK) return status;
  gru->threshold = ksr_data_of(node, KSR_EVENT_GRU_THRESHOLD);
#if KSR_WITH_FLOAT32
  if (!gru->recurrent.is_int8) {
    *scratch_size = ksr_event_gru_scratch_f32(gru);
    return KSR_OK;
  }
#endif
  gru->gates = ksr_gates_of(&gru->recurrent.options);
  *scratch_size = ksr_event_gru_scratch_i8(gru);
#if KSR_WITH_INT16
  if (gru->recurrent.is_int16) *scratch_size = ksr_event_gru_scratch_i16(gru);
#endif
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_event_gru_node *gru = data;
  for (int32_t sample = 0; sample < gru->recurrent.samples; ++sample) {
    ksr_recurrent_begin(&gru->recurrent, node, sample, scratch);
    gru->y = ksr_state_of(node, sample, KSR_EVENT_GRU_Y);
    gru->c = ksr_state_of(node, sample, KSR_EVENT_GRU_C);
    gru->trace = ksr_state_of(node, sample, KSR_EVENT_GRU_TRACE);
#if KSR_WITH_INT16
    if (gru->recurrent.is_int16) ksr_event_gru_run_i16(gru, scratch);
#endif
    if (gru->recurrent.is_int8 && !gru->recurrent.is_int16) ksr_event_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
    if (!gru->recurrent.is_int8) ksr_event_gru_run_f32(gru, scratch);
#endif
  }
}

const ksr_op ksr_event_gru = {"KsrEventGru", sizeof(ksr_event_gru_node), &ksr_event_gru_schema, prepare, invoke};
