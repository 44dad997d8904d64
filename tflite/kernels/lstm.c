#include "ksr_lstm.h"

#include "lstm_steps.h"

void ksr_lstm_set_up(const ksr_node *node, void *data) {
  const ksr_slots kernel = KSR_LSTM_KERNEL_SLOTS, recurrent_kernel = KSR_LSTM_RECURRENT_KERNEL_SLOTS;
  ksr_lstm_node *lstm = data;
  ksr_recurrent *r = &lstm->recurrent;
  ksr_recurrent_set_up(r, node, &lstm->options.cell_bits, sizeof(lstm->options), KSR_LSTM_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
  if (r->is_int8) lstm->gates = ksr_gates_of(&r->options);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  const ksr_lstm_node *lstm = data;
  const ksr_status status = ksr_check(&ksr_lstm_schema, node);
  if (status != KSR_OK) return status;
  ksr_lstm_set_up(node, data);
  /* The states too, in case they have no tensors. */
  const uint32_t h_size = lstm->recurrent.is_int16 ? sizeof(int16_t) : sizeof(int8_t);
  const uint32_t states = lstm->recurrent.is_int8 ? (uint32_t)sizeof(int16_t) + h_size : 2 * (uint32_t)sizeof(float);
  *scratch_size = ksr_recurrent_scratch(&lstm->recurrent) + states * (uint32_t)lstm->recurrent.options.units;
  return ksr_recurrent_check(&lstm->recurrent, 0);
}

void ksr_lstm_invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_lstm_node *lstm = data;
  for (int32_t sample = 0; sample < lstm->recurrent.samples; ++sample) {
    ksr_recurrent_begin(&lstm->recurrent, node, sample, scratch);
    lstm->h = ksr_state_of(node, sample, KSR_LSTM_H);
    lstm->c = ksr_state_of(node, sample, KSR_LSTM_C);
#if KSR_WITH_INT16
    if (lstm->recurrent.is_int16) ksr_lstm_run_i16(lstm, scratch);
#endif
    if (lstm->recurrent.is_int8 && !lstm->recurrent.is_int16) ksr_lstm_run_i8(lstm, scratch);
#if KSR_WITH_FLOAT32
    if (!lstm->recurrent.is_int8) ksr_lstm_run_f32(lstm, scratch);
#endif
  }
}

const ksr_op ksr_lstm = {"KsrLstm", sizeof(ksr_lstm_node), &ksr_lstm_schema, prepare, ksr_lstm_invoke};
