#include "ksr_event_gru.h"

#include "ksr_event_gru_layer.h"
#include "ksr_event_gru_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up(ksr_event_gru_layer *gru, const ksr_node *node) {
  const ksr_slots kernel[] = KSR_EVENT_GRU_KERNEL_SLOTS, recurrent_kernel[] = KSR_EVENT_GRU_RECURRENT_KERNEL_SLOTS;
  ksr_recurrent *r = &gru->recurrent;
  int32_t own[4];
  ksr_recurrent_set_up(r, &gru->gates, node, own, 4, KSR_EVENT_GRU_SHARED_INPUTS);
  gru->readout = own[0];
  gru->reset = own[1];
  gru->trace_rate = own[2];
  gru->reset_gate = own[3];
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel[gru->reset_gate]);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel[gru->reset_gate]);
  gru->threshold = ksr_data_of(node, KSR_EVENT_GRU_THRESHOLD);
}

static void run(const void *layer, void *scratch) {
  const ksr_event_gru_layer *gru = layer;
#if KSR_WITH_INT16
  if (gru->recurrent.is_int16) ksr_event_gru_run_i16(gru, scratch);
#endif
  if (gru->recurrent.is_integer && !gru->recurrent.is_int16) ksr_event_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
  if (!gru->recurrent.is_integer) ksr_event_gru_run_f32(gru, scratch);
#endif
}

static const ksr_state_place states[] = {
    {offsetof(ksr_event_gru_layer, y), KSR_FROM_LOWEST},
    {offsetof(ksr_event_gru_layer, c), KSR_FROM_0},
    {offsetof(ksr_event_gru_layer, trace), KSR_FROM_0},
    {offsetof(ksr_event_gru_layer, recurrent.held_x), KSR_FROM_X_ZERO_POINT},
    {offsetof(ksr_event_gru_layer, recurrent.sums), KSR_FROM_0},
};

static const ksr_recurrent_kind kind = {&ksr_event_gru_schema, states, KSR_EVENT_GRU_SHARED_INPUTS, run};

typedef struct node_data {
  ksr_event_gru_layer layer;
  ksr_recurrent_calls calls;
} node_data;

static ksr_status choose_units(ksr_event_gru_layer *gru, const ksr_node *node) {
  if (ksr_has_usual_gates(node, 1)) {
#if KSR_WITH_USUAL_GATES
    gru->units = gru->reset_gate ? ksr_gru_units_usual_i8 : ksr_light_gru_units_usual_i8;
#if KSR_WITH_INT16
    if (gru->recurrent.is_int16) {
      gru->units = gru->reset_gate ? ksr_gru_units_usual_i16 : ksr_light_gru_units_usual_i16;
    }
#endif
    return KSR_OK;
#endif
  } else {
#if KSR_WITH_OTHER_GATES
    gru->units = gru->reset_gate ? ksr_gru_units_other : ksr_light_gru_units_other;
#if KSR_WITH_PIECEWISE
    if (ksr_has_hard_gates(node)) gru->units = gru->reset_gate ? ksr_gru_units_hard : ksr_light_gru_units_hard;
#endif
    return ksr_set_activations(&gru->gates, node, 1);
#endif
  }
  return KSR_NOT_BUILT;
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  node_data *d = data;
  const ksr_status status = ksr_check(&ksr_event_gru_schema, node);
  if (status != KSR_OK) return status;
  set_up(&d->layer, node);
  *scratch_size = ksr_recurrent_set_calls(&d->calls, &kind, node, ksr_event_gru_scratch(&d->layer));
  const ksr_status chosen = choose_units(&d->layer, node);
  if (chosen != KSR_OK) return chosen;
  return ksr_recurrent_check(&d->layer.recurrent, 0);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  node_data *d = data;
  ksr_recurrent_invoke(&kind, &d->calls, node, &d->layer, scratch);
}

const ksr_op ksr_event_gru = {"KsrEventGru", sizeof(node_data), &ksr_event_gru_schema, prepare, invoke};
