#include "ksr_event_gru.h"

#include "ksr_event_gru_layer.h"
#include "ksr_event_gru_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up(ksr_event_gru_layer *gru, const ksr_node *node) {
  const ksr_slots kernel = KSR_EVENT_GRU_KERNEL_SLOTS, recurrent_kernel = KSR_EVENT_GRU_RECURRENT_KERNEL_SLOTS;
  ksr_recurrent *r = &gru->recurrent;
  int32_t own[3];
  ksr_recurrent_set_up(r, &gru->gates, node, own, 3, KSR_EVENT_GRU_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
  gru->readout = own[0];
  gru->reset = own[1];
  gru->trace_rate = own[2];
  gru->threshold = ksr_data_of(node, KSR_EVENT_GRU_THRESHOLD);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_event_gru_layer *gru = data;
  const ksr_status status = ksr_check(&ksr_event_gru_schema, node);
  if (status != KSR_OK) return status;
  set_up(gru, node);
  *scratch_size = ksr_event_gru_scratch(gru);
  return ksr_recurrent_check(&gru->recurrent, 0);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_event_gru_layer *gru = data;
  ksr_recurrent *r = &gru->recurrent;
  for (int32_t sample = 0; sample < node->inputs[KSR_X].dims[0]; ++sample) {
    ksr_recurrent_begin(r, node, sample, KSR_EVENT_GRU_SHARED_INPUTS, scratch);
    gru->y = ksr_state_of(node, sample, KSR_EVENT_GRU_Y);
    gru->c = ksr_state_of(node, sample, KSR_EVENT_GRU_C);
    gru->trace = ksr_state_of(node, sample, KSR_EVENT_GRU_TRACE);
#if KSR_WITH_INT16
    if (r->is_int16) ksr_event_gru_run_i16(gru, scratch);
#endif
    if (r->is_int8 && !r->is_int16) ksr_event_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
    if (!r->is_int8) ksr_event_gru_run_f32(gru, scratch);
#endif
  }
}

const ksr_op ksr_event_gru = {"KsrEventGru", sizeof(ksr_event_gru_layer), &ksr_event_gru_schema, prepare, invoke};
