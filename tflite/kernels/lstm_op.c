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

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_lstm_layer *lstm = data;
  const ksr_status status = ksr_check(&ksr_lstm_schema, node);
  if (status != KSR_OK) return status;
  set_up(lstm, node);
  *scratch_size = ksr_lstm_scratch(lstm);
  return ksr_recurrent_check(&lstm->recurrent, 0);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_lstm_layer *lstm = data;
  ksr_recurrent *r = &lstm->recurrent;
  for (int32_t sample = 0; sample < node->inputs[KSR_X].dims[0]; ++sample) {
    ksr_recurrent_begin(r, node, sample, KSR_LSTM_SHARED_INPUTS, scratch);
    lstm->h = ksr_state_of(node, sample, KSR_LSTM_H);
    lstm->c = ksr_state_of(node, sample, KSR_LSTM_C);
#if KSR_WITH_INT16
    if (r->is_int16) ksr_lstm_run_i16(lstm, scratch);
#endif
    if (r->is_int8 && !r->is_int16) ksr_lstm_run_i8(lstm, scratch);
#if KSR_WITH_FLOAT32
    if (!r->is_int8) ksr_lstm_run_f32(lstm, scratch);
#endif
  }
}

const ksr_op ksr_lstm = {"KsrLstm", sizeof(ksr_lstm_layer), &ksr_lstm_schema, prepare, invoke};
