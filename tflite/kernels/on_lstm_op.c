#include "ksr_on_lstm.h"

#include "ksr_on_lstm_layer.h"
#include "ksr_on_lstm_schema.h"
#include "recurrent_check.h"
#include "recurrent_node.h"

static void set_up(ksr_on_lstm_layer *layer, const ksr_node *node) {
  const ksr_slots kernel = KSR_ON_LSTM_KERNEL_SLOTS, recurrent_kernel = KSR_ON_LSTM_RECURRENT_KERNEL_SLOTS;
  ksr_recurrent *r = &layer->lstm.recurrent;
  union {
    ksr_on_lstm_options options;
    int32_t words[sizeof(ksr_on_lstm_options) / sizeof(int32_t)];
  } own;
  ksr_recurrent_set_up(r, &layer->lstm.gates, node, own.words, sizeof(own) / sizeof(int32_t),
                       KSR_ON_LSTM_SHARED_INPUTS);
  layer->lstm.cell_bits = own.options.cell_bits;
  layer->chunk_size = own.options.chunk_size;
  const int32_t block = r->kernel.block;
  r->stride = (ksr_columns(r->units, layer->chunk_size) + block - 1) / block * block;
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
}

static void run(const void *layer, void *scratch) {
  const ksr_on_lstm_layer *of = layer;
  const ksr_recurrent *r = &of->lstm.recurrent;
#if KSR_WITH_INT16
  if (r->is_int16) ksr_on_lstm_run_i16(of, scratch);
#endif
  if (r->is_integer && !r->is_int16) ksr_on_lstm_run_i8(of, scratch);
#if KSR_WITH_FLOAT32
  if (!r->is_integer) ksr_on_lstm_run_f32(of, scratch);
#endif
}

static const ksr_state_place states[] = {
    {offsetof(ksr_on_lstm_layer, lstm.h), KSR_FROM_0},
    {offsetof(ksr_on_lstm_layer, lstm.c), KSR_FROM_0},
    {offsetof(ksr_on_lstm_layer, lstm.recurrent.held_x), KSR_FROM_X_ZERO_POINT},
    {offsetof(ksr_on_lstm_layer, lstm.recurrent.sums), KSR_FROM_0},
    {offsetof(ksr_on_lstm_layer, lstm.recurrent.held_h), KSR_FROM_0},
};

static const ksr_recurrent_kind kind = {&ksr_on_lstm_schema, states, KSR_ON_LSTM_SHARED_INPUTS, run};

typedef struct node_data {
  ksr_on_lstm_layer layer;
  ksr_recurrent_calls calls;
} node_data;

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  node_data *d = data;
  const ksr_status status = ksr_check(&ksr_on_lstm_schema, node);
  if (status != KSR_OK) return status;
#if KSR_WITH_OTHER_GATES
  set_up(&d->layer, node);
  d->layer.lstm.units = ksr_on_lstm_units_other;
  *scratch_size = ksr_recurrent_set_calls(&d->calls, &kind, node, ksr_on_lstm_scratch(&d->layer));
  const ksr_status has_activations = ksr_set_activations(&d->layer.lstm.gates, node, 1);
  if (has_activations != KSR_OK) return has_activations;
  return ksr_recurrent_check(&d->layer.lstm.recurrent, 0);
#else
  (void)d;
  (void)scratch_size;
  return KSR_NOT_BUILT;
#endif
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  node_data *d = data;
  ksr_recurrent_invoke(&kind, &d->calls, node, &d->layer, scratch);
}

const ksr_op ksr_on_lstm = {"KsrOnLstm", sizeof(node_data), &ksr_on_lstm_schema, prepare, invoke};
