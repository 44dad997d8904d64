#include "ksr_simple_rnn.h"

#include "ksr_simple_rnn_layer.h"
#include "ksr_simple_rnn_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up(ksr_simple_rnn_layer *rnn, const ksr_node *node) {
  const ksr_slots kernel = KSR_SIMPLE_RNN_KERNEL_SLOTS, recurrent_kernel = KSR_SIMPLE_RNN_RECURRENT_KERNEL_SLOTS;
  ksr_recurrent *r = &rnn->recurrent;
  ksr_recurrent_set_up(r, &rnn->gates, node, 0, 0, KSR_SIMPLE_RNN_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  if (!ksr_is_absent(node, KSR_RECURRENT_KERNEL)) {
    r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
  }
}

static void run(const void *layer, void *scratch) {
  const ksr_simple_rnn_layer *rnn = layer;
#if KSR_WITH_INT16
  if (rnn->recurrent.is_int16) ksr_simple_rnn_run_i16(rnn, scratch);
#endif
  if (rnn->recurrent.is_integer && !rnn->recurrent.is_int16) ksr_simple_rnn_run_i8(rnn, scratch);
#if KSR_WITH_FLOAT32
  if (!rnn->recurrent.is_integer) ksr_simple_rnn_run_f32(rnn, scratch);
#endif
}

static const ksr_state_place states[] = {
    {offsetof(ksr_simple_rnn_layer, h), KSR_FROM_0},
    {offsetof(ksr_simple_rnn_layer, recurrent.held_x), KSR_FROM_X_ZERO_POINT},
    {offsetof(ksr_simple_rnn_layer, recurrent.sums), KSR_FROM_0},
    {offsetof(ksr_simple_rnn_layer, recurrent.held_h), KSR_FROM_0},
};

static const ksr_recurrent_kind kind = {&ksr_simple_rnn_schema, states, KSR_SIMPLE_RNN_SHARED_INPUTS, run};

typedef struct node_data {
  ksr_simple_rnn_layer layer;
  ksr_recurrent_calls calls;
} node_data;

static ksr_status choose_units(ksr_simple_rnn_layer *rnn, const ksr_node *node) {
  if (ksr_has_usual_gates(node, 0)) {
#if KSR_WITH_USUAL_GATES
    rnn->units = ksr_simple_rnn_units_usual_i8;
#if KSR_WITH_INT16
    if (rnn->recurrent.is_int16) {
      rnn->units = ksr_simple_rnn_units_usual_i16;
    }
#endif
    return KSR_OK;
#endif
  } else {
#if KSR_WITH_OTHER_GATES
    rnn->units = ksr_simple_rnn_units_other;
    return ksr_set_activations(&rnn->gates, node, 0);
#endif
  }
  return KSR_NOT_BUILT;
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  node_data *d = data;
  const ksr_status status = ksr_check(&ksr_simple_rnn_schema, node);
  if (status != KSR_OK) return status;
  set_up(&d->layer, node);
  *scratch_size = ksr_recurrent_set_calls(&d->calls, &kind, node, ksr_simple_rnn_scratch(&d->layer));
  const ksr_status chosen = choose_units(&d->layer, node);
  if (chosen != KSR_OK) return chosen;
  if (d->layer.recurrent.hidden_threshold && !d->layer.recurrent.recurrent_kernel.sources) {
    return KSR_STATUS(KSR_UNEXPECTED, KSR_SIMPLE_RNN_SHARED_INPUTS + KSR_HIDDEN_THRESHOLD);
  }
  return ksr_recurrent_check(&d->layer.recurrent, 0);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  node_data *d = data;
  ksr_recurrent_invoke(&kind, &d->calls, node, &d->layer, scratch);
}

const ksr_op ksr_simple_rnn = {"KsrSimpleRnn", sizeof(node_data), &ksr_simple_rnn_schema, prepare, invoke};
