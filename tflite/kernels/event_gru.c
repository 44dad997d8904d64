#include "ksr_event_gru.h"

#include "event_gru_steps.h"

enum { THRESHOLD = KSR_OWN_INPUTS, STATE_Y, STATE_C, STATE_TRACE, INPUTS = STATE_TRACE + 3 };

/* The number of the input that is the held x. */
static int32_t held_states(const ksr_event_gru_node *gru) {
  return STATE_TRACE + (gru->options.readout == KSR_READOUT_TRACE);
}

/* Fills `gru` from a node; on anything wrong the status names it. */
static ksr_status read_node(const ksr_node *node, ksr_event_gru_node *gru) {
  const ksr_slots kernel = {3, 2}, recurrent_kernel = {3, 3};
  ksr_recurrent *r = &gru->recurrent;
  const ksr_event_gru_options *o = &gru->options;
  ksr_status status = ksr_recurrent_read(r, node, &gru->options, sizeof(gru->options), THRESHOLD + 1, INPUTS);
  if (status != KSR_OK) return status;
  if (!ksr_is_within(o->readout, KSR_READOUT_EVENT, KSR_READOUT_TRACE) || (o->reset & ~1) || o->trace_rate < 0) {
    return KSR_BAD_OPTIONS;
  }
  status = ksr_recurrent_read_weights(r, node, kernel, recurrent_kernel);
  if (status != KSR_OK) return status;
  const ksr_tensor *threshold = &node->inputs[THRESHOLD];
  if (!ksr_is_vector(threshold, r->is_int8 ? KSR_INT16 : KSR_FLOAT32, r->options.units)) return KSR_BAD_THRESHOLD;
  gru->threshold = threshold->data;
  r->sends_events = 1;
  const int32_t held = held_states(gru);
  if (!ksr_recurrent_has_state(r, node, STATE_Y, KSR_INT8) || !ksr_recurrent_has_state(r, node, STATE_C, KSR_INT16) ||
      (held > STATE_TRACE && !ksr_recurrent_has_state(r, node, STATE_TRACE, KSR_INT16))) {
    return KSR_BAD_STATE;
  }
  return ksr_recurrent_read_hold(r, node, held);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_event_gru_node *gru = data;
  ksr_status status = read_node(node, gru);
  if (status == KSR_OK) status = ksr_recurrent_check(&gru->recurrent, node);
  if (status != KSR_OK) return status;
#if KSR_WITH_FLOAT32
  if (!gru->recurrent.is_int8) {
    *scratch_size = ksr_event_gru_scratch_f32(gru);
    return KSR_OK;
  }
#endif
  const int16_t *threshold = gru->threshold;
  for (int32_t i = 0; i < gru->recurrent.options.units; ++i) {
    if (threshold[i] < 0) return KSR_BAD_THRESHOLD;
  }
  gru->gates = ksr_gates_of(&gru->recurrent.options);
  *scratch_size = ksr_event_gru_scratch_i8(gru);
#if KSR_WITH_INT16
  if (gru->recurrent.is_int16) *scratch_size = ksr_event_gru_scratch_i16(gru);
#endif
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_event_gru_node *gru = data;
  const int32_t has_trace = gru->options.readout == KSR_READOUT_TRACE;
  for (int32_t sample = 0; sample < gru->recurrent.samples; ++sample) {
    ksr_recurrent_begin(&gru->recurrent, node, sample, held_states(gru), scratch);
    gru->y = ksr_state_of(node, sample, STATE_Y);
    gru->c = ksr_state_of(node, sample, STATE_C);
    gru->trace = has_trace ? ksr_state_of(node, sample, STATE_TRACE) : 0;
#if KSR_WITH_INT16
    if (gru->recurrent.is_int16) ksr_event_gru_run_i16(gru, scratch);
#endif
    if (gru->recurrent.is_int8 && !gru->recurrent.is_int16) ksr_event_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
    if (!gru->recurrent.is_int8) ksr_event_gru_run_f32(gru, scratch);
#endif
  }
}

const ksr_op ksr_event_gru = {"KsrEventGru", sizeof(ksr_event_gru_node), prepare, invoke};
