#include "ksr_lstm.h"

#include "lstm_steps.h"

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_lstm_node *lstm = data;
  ksr_sizes sizes;
  const ksr_status status =
      ksr_recurrent_read(&lstm->recurrent, &ksr_lstm_schema, node, &lstm->options, &sizes, KSR_LSTM_SHARED_INPUTS);
  if (status != KSR_OK) return status;
  if (lstm->recurrent.is_int8) lstm->gates = ksr_gates_of(&lstm->recurrent.options);
  /* The states too, in case they have no tensors. */
  const uint32_t h_size = lstm->recurrent.is_int16 ? sizeof(int16_t) : sizeof(int8_t);
  const uint32_t states = lstm->recurrent.is_int8 ? (uint32_t)sizeof(int16_t) + h_size : 2 * (uint32_t)sizeof(float);
  *scratch_size = ksr_recurrent_scratch(&lstm->recurrent) + states * (uint32_t)lstm->recurrent.options.units;
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
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

const ksr_op ksr_lstm = {"KsrLstm", sizeof(ksr_lstm_node), &ksr_lstm_schema, prepare, invoke};
