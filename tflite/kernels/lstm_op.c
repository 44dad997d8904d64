#include "ksr_lstm.h"

#include "ksr_lstm_layer.h"
#include "ksr_lstm_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up(ksr_lstm_layer *lstm, const ksr_node *node) {
  const ksr_slots kernel = KSR_LSTM_KERNEL_SLOTS, recurrent_kernel = KSR_LSTM_RECURRENT_KERNEL_SLOTS;
  ksr_recurrent *r = &lstm->recurrent;
  ksr_recurrent_set_up(r, &lstm->gates, node, &lstm->cell_bits, 1, KSR_LSTM_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
}

static void run(const void *layer, void *scratch) {
  const ksr_lstm_layer *lstm = layer;
#if KSR_WITH_INT16
  if (lstm->recurrent.is_int16) ksr_lstm_run_i16(lstm, scratch);
#endif
  if (lstm->recurrent.is_integer && !lstm->recurrent.is_int16) ksr_lstm_run_i8(lstm, scratch);
#if KSR_WITH_FLOAT32
  if (!lstm->recurrent.is_integer) ksr_lstm_run_f32(lstm, scratch);
#endif
}

static const ksr_state_place states[] = {
    {offsetof(ksr_lstm_layer, h), KSR_FROM_0},
    {offsetof(ksr_lstm_layer, c), KSR_FROM_0},
    {offsetof(ksr_lstm_layer, recurrent.held_x), KSR_FROM_X_ZERO_POINT},
    {offsetof(ksr_lstm_layer, recurrent.sums), KSR_FROM_0},
    {offsetof(ksr_lstm_layer, recurrent.held_h), KSR_FROM_0},
};

static const ksr_recurrent_kind kind = {&ksr_lstm_schema, states, KSR_LSTM_SHARED_INPUTS, run};

typedef struct node_data {
  ksr_lstm_layer layer;
  ksr_recurrent_calls calls;
} node_data;

static ksr_status choose_units(ksr_lstm_layer *lstm, const ksr_node *node) {
  if (ksr_has_usual_gates(node, 1) && lstm->cell_bits <= KSR_LSTM_BOUNDED_CELL_BITS) {
#if KSR_WITH_USUAL_GATES
    lstm->units = ksr_lstm_units_usual_i8;
#if KSR_WITH_INT16
    if (lstm->recurrent.is_int16) {
      lstm->units = ksr_lstm_units_usual_i16;
    }
#endif
    return KSR_OK;
#endif
  } else {
#if KSR_WITH_OTHER_GATES
    lstm->units = ksr_lstm_units_other;
    return ksr_set_activations(&lstm->gates, node, 1);
#endif
  }
  return KSR_NOT_BUILT;
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  node_data *d = data;
  const ksr_status status = ksr_check(&ksr_lstm_schema, node);
  if (status != KSR_OK) return status;
  set_up(&d->layer, node);
  *scratch_size = ksr_recurrent_set_calls(&d->calls, &kind, node, ksr_lstm_scratch(&d->layer));
  const ksr_status chosen = choose_units(&d->layer, node);
  if (chosen != KSR_OK) return chosen;
  return ksr_recurrent_check(&d->layer.recurrent, 0);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  node_data *d = data;
  ksr_recurrent_invoke(&kind, &d->calls, node, &d->layer, scratch);
}

const ksr_op ksr_lstm = {"KsrLstm", sizeof(node_data), &ksr_lstm_schema, prepare, invoke};
