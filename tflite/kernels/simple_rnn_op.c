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
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_simple_rnn_layer *rnn = data;
  const ksr_status status = ksr_check(&ksr_simple_rnn_schema, node);
  if (status != KSR_OK) return status;
  set_up(rnn, node);
  *scratch_size = ksr_simple_rnn_scratch(rnn);
  return ksr_recurrent_check(&rnn->recurrent, 0);
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_simple_rnn_layer *rnn = data;
  ksr_recurrent *r = &rnn->recurrent;
  for (int32_t sample = 0; sample < node->inputs[KSR_X].dims[0]; ++sample) {
    ksr_recurrent_begin(r, node, sample, KSR_SIMPLE_RNN_SHARED_INPUTS, scratch);
    rnn->h = ksr_state_of(node, sample, KSR_SIMPLE_RNN_H);
#if KSR_WITH_INT16
    if (r->is_int16) ksr_simple_rnn_run_i16(rnn, scratch);
#endif
    if (r->is_int8 && !r->is_int16) ksr_simple_rnn_run_i8(rnn, scratch);
#if KSR_WITH_FLOAT32
    if (!r->is_int8) ksr_simple_rnn_run_f32(rnn, scratch);
#endif
  }
}

const ksr_op ksr_simple_rnn = {"KsrSimpleRnn", sizeof(ksr_simple_rnn_layer), &ksr_simple_rnn_schema, prepare, invoke};
