#include "lstm_steps.h"
#include "ksr_lstm.h"
#include "ksr_lstm_schema.h"
#include "recurrent_check.h"

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

const ksr_op ksr_lstm = {"KsrLstm", sizeof(ksr_lstm_node), &ksr_lstm_schema, prepare, ksr_lstm_invoke};
