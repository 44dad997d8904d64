#include "simple_rnn_steps.h"
#include "ksr_simple_rnn.h"
#include "ksr_simple_rnn_schema.h"
#include "recurrent_check.h"

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  const ksr_simple_rnn_node *rnn = data;
  const ksr_status status = ksr_check(&ksr_simple_rnn_schema, node);
  if (status != KSR_OK) return status;
  ksr_simple_rnn_set_up(node, data);
  *scratch_size = ksr_recurrent_scratch(&rnn->recurrent) + ksr_simple_rnn_state_size(&rnn->recurrent);
  return ksr_recurrent_check(&rnn->recurrent, 0);
}

const ksr_op ksr_simple_rnn = {"KsrSimpleRnn", sizeof(ksr_simple_rnn_node), &ksr_simple_rnn_schema, prepare,
    ksr_simple_rnn_invoke};
