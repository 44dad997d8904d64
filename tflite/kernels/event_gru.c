#include "ksr_event_gru.h"

#include "event_gru_steps.h"

void ksr_event_gru_set_up(const ksr_node *node, void *data) {
  const ksr_slots kernel = KSR_EVENT_GRU_KERNEL_SLOTS, recurrent_kernel = KSR_EVENT_GRU_RECURRENT_KERNEL_SLOTS;
  ksr_event_gru_node *gru = data;
  ksr_recurrent *r = &gru->recurrent;
  ksr_recurrent_set_up(r, node, &gru->options.readout, sizeof(gru->options), KSR_EVENT_GRU_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
  gru->threshold = ksr_data_of(node, KSR_EVENT_GRU_THRESHOLD);
  if (r->is_int8) gru->gates = ksr_gates_of(&r->options);
}

void ksr_event_gru_invoke(const ksr_node *node, void *data, void *scratch) {
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
