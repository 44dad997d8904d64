#include "gru_steps.h"
#include "ksr_gru.h"
#include "ksr_gru_schema.h"
#include "recurrent_check.h"

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  const ksr_gru_node *gru = data;
  const ksr_status status = ksr_check(&ksr_gru_schema, node);
  if (status != KSR_OK) return status;
  ksr_gru_set_up(node, data);
  /* The states too, in case they have no tensors. */
  const uint32_t size = (uint32_t)(gru->recurrent.is_int8 ? sizeof(int16_t) : sizeof(float));
  const uint32_t states = (gru->hidden_threshold ? 2 * size : size) * (uint32_t)gru->recurrent.options.units;
  *scratch_size = ksr_recurrent_scratch(&gru->recurrent) + states;
  return ksr_recurrent_check(&gru->recurrent, gru->options.reset_after ? 0 : &gru->candidate_kernel);
}

const ksr_op ksr_gru = {"KsrGru", sizeof(ksr_gru_node), &ksr_gru_schema, prepare, ksr_gru_invoke};
