#include "ksr_gru.h"

#include "gru_steps.h"

enum { CANDIDATE_KERNEL = KSR_OWN_INPUTS, STATE_H = CANDIDATE_KERNEL + 3, INPUTS };

static const ksr_slots kernel_slots = {3, 2}, recurrent_slots = {3, 3};
/* With the reset before the product: z and r, and the candidate, which adds to the last slot alone. */
static const ksr_slots gate_slots = {2, 1}, candidate_slots = {1, 0};

static int is_absent(const ksr_node *node, int32_t first, int32_t count) {
  for (int32_t i = first; i < first + count; ++i) {
    if (i < node->input_count && node->inputs[i].type >= 0) return 0;
  }
  return 1;
}

/* Fills `gru` from a node; on anything wrong the status names it. */
static ksr_status read_node(const ksr_node *node, ksr_gru_node *gru) {
  ksr_recurrent *r = &gru->recurrent;
  ksr_status status = ksr_recurrent_read(r, node, &gru->options, sizeof(gru->options), KSR_OWN_INPUTS, INPUTS);
  if (status != KSR_OK) return status;
  const int32_t reset_after = gru->options.reset_after;
  if (reset_after & ~1) return KSR_BAD_OPTIONS;
  status = ksr_recurrent_read_weights(r, node, kernel_slots, reset_after ? recurrent_slots : gate_slots);
  if (status != KSR_OK) return status;
  if (reset_after) {
    if (!is_absent(node, CANDIDATE_KERNEL, 3)) return KSR_BAD_CANDIDATE_KERNEL;
  } else if (node->input_count < STATE_H ||
             !ksr_recurrent_read_matrix(r, node, CANDIDATE_KERNEL, candidate_slots, &gru->candidate_kernel)) {
    return KSR_BAD_CANDIDATE_KERNEL;
  }
  return ksr_recurrent_read_state(r, node, STATE_H, KSR_INT16, &gru->h) ? KSR_OK : KSR_BAD_STATE;
}

static ksr_status prepare(const ksr_node *node, uint32_t *scratch_size) {
  ksr_gru_node gru;
  ksr_status status = read_node(node, &gru);
  if (status == KSR_OK) status = ksr_recurrent_check(&gru.recurrent, node);
  if (status != KSR_OK) return status;
  if (!gru.options.reset_after && !ksr_matrix_check(&gru.candidate_kernel, node->inputs[CANDIDATE_KERNEL].dims[0])) {
    return KSR_BAD_CANDIDATE_KERNEL;
  }
  /* The state too, in case it has no tensor. */
  const uint32_t state = gru.recurrent.is_int8 ? sizeof(int16_t) : sizeof(float);
  *scratch_size = ksr_accumulators_size(&gru.recurrent) + state * (uint32_t)gru.recurrent.options.units;
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *scratch) {
  ksr_gru_node gru;
  if (read_node(node, &gru) != KSR_OK) return;
  if (gru.recurrent.is_int8) ksr_gru_run_i8(&gru, scratch);
#if KSR_WITH_FLOAT32
  if (!gru.recurrent.is_int8) ksr_gru_run_f32(&gru, scratch);
#endif
}

const ksr_op ksr_gru = {"KsrGru", prepare, invoke};
