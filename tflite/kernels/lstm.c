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
