#include "event_gru_steps.h"
#include "ksr_event_gru.h"
#include "ksr_event_gru_schema.h"
#include "recurrent_check.h"

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  const ksr_event_gru_node *gru = data;
  ksr_status status = ksr_check(&ksr_event_gru_schema, node);
  if (status != KSR_OK) return status;
  ksr_event_gru_set_up(node, data);
  status = ksr_recurrent_check(&gru->recurrent, 0);
#if KSR_WITH_FLOAT32
  if (!gru->recurrent.is_int8) {
    *scratch_size = ksr_event_gru_scratch_f32(gru);
    return status;
  }
#endif
  *scratch_size = ksr_event_gru_scratch_i8(gru);
#if KSR_WITH_INT16
  if (gru->recurrent.is_int16) *scratch_size = ksr_event_gru_scratch_i16(gru);
#endif
  return status;
}

const ksr_op ksr_event_gru = {"KsrEventGru", sizeof(ksr_event_gru_node), &ksr_event_gru_schema, prepare,
    ksr_event_gru_invoke};
