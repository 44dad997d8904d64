#include "ksr_gru.h"

#include "gru_steps.h"

enum {
  CANDIDATE_KERNEL = KSR_OWN_INPUTS,
  HIDDEN_THRESHOLD = CANDIDATE_KERNEL + 3,
  STATE_H,
  STATE_HELD_H,
  INPUTS = STATE_HELD_H + 3
};

static const ksr_slots kernel_slots = {3, 2}, recurrent_slots = {3, 3};
/* With the reset before the product: z and r, and the candidate, which adds to the last slot alone. */
static const ksr_slots gate_slots = {2, 1}, candidate_slots = {1, 0};

/* Whether and how x and h are held. */
static ksr_status read_holds(const ksr_node *node, ksr_gru_node *gru) {
  ksr_recurrent *r = &gru->recurrent;
  const ksr_tensor *threshold = &node->inputs[HIDDEN_THRESHOLD];
  const int32_t holds_h = !ksr_is_absent(node, HIDDEN_THRESHOLD), first = STATE_HELD_H + holds_h;
  const ksr_status status = ksr_recurrent_read_hold(r, node, first);
  gru->hidden_threshold = 0;
  if (status != KSR_OK || !holds_h) return status;
  if (!gru->options.reset_after || !r->input_threshold ||
      !ksr_is_vector(threshold, r->is_int8 ? KSR_UINT16 : KSR_FLOAT32, r->options.units)) {
    return KSR_BAD_HOLD;
  }
  gru->hidden_threshold = threshold->data;
  if (ksr_is_absent(node, STATE_HELD_H) != ksr_is_absent(node, first)) return KSR_BAD_STATE;
  return ksr_recurrent_has_state(r, node, STATE_HELD_H, KSR_INT16) ? KSR_OK : KSR_BAD_STATE;
}

/* Fills `gru` from a node; on anything wrong the status names it. */
static ksr_status read_node(const ksr_node *node, ksr_gru_node *gru) {
  ksr_recurrent *r = &gru->recurrent;
  ksr_status status = ksr_recurrent_read(r, node, &gru->options, sizeof(gru->options), KSR_BIAS + 1, INPUTS);
  if (status != KSR_OK) return status;
  const int32_t reset_after = gru->options.reset_after;
  if (reset_after & ~1) return KSR_BAD_OPTIONS;
  status = ksr_recurrent_read_weights(r, node, kernel_slots, reset_after ? recurrent_slots : gate_slots);
  if (status != KSR_OK) return status;
  if (reset_after) {
    for (int32_t i = 0; i < 3; ++i) {
      if (!ksr_is_absent(node, CANDIDATE_KERNEL + i)) return KSR_BAD_CANDIDATE_KERNEL;
    }
  } else if (node->input_count < CANDIDATE_KERNEL + 3 ||
             !ksr_recurrent_read_matrix(r, node, CANDIDATE_KERNEL, candidate_slots, &gru->candidate_kernel)) {
    return KSR_BAD_CANDIDATE_KERNEL;
  }
  if (!ksr_recurrent_has_state(r, node, STATE_H, KSR_INT16)) return KSR_BAD_STATE;
  return read_holds(node, gru);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_gru_node *gru = data;
  ksr_status status = read_node(node, gru);
  if (status == KSR_OK) status = ksr_recurrent_check(&gru->recurrent, node);
  if (status != KSR_OK) return status;
  if (!gru->options.reset_after && !ksr_matrix_check(&gru->candidate_kernel, node->inputs[CANDIDATE_KERNEL].dims[0])) {
    return KSR_BAD_CANDIDATE_KERNEL;
  }
  if (!gru->options.reset_after && !ksr_recurrent_candidate_fits(&gru->recurrent, &gru->candidate_kernel)) {
    return KSR_BAD_BIAS;
  }
  if (gru->recurrent.is_int8) gru->gates = ksr_gates_of(&gru->recurrent.options);
  /* The states too, in case they have no tensors. */
  const uint32_t size = (uint32_t)(gru->recurrent.is_int8 ? sizeof(int16_t) : sizeof(float));
  const uint32_t states = (gru->hidden_threshold ? 2 * size : size) * (uint32_t)gru->recurrent.options.units;
  *scratch_size = ksr_recurrent_scratch(&gru->recurrent) + states;
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_gru_node *gru = data;
  const int32_t holds_h = gru->hidden_threshold != 0;
  for (int32_t sample = 0; sample < gru->recurrent.samples; ++sample) {
    ksr_recurrent_begin(&gru->recurrent, node, sample, STATE_HELD_H + holds_h, scratch);
    gru->h = ksr_state_of(node, sample, STATE_H);
    gru->held_h = holds_h ? ksr_state_of(node, sample, STATE_HELD_H) : 0;
#if KSR_WITH_INT16
    if (gru->recurrent.is_int16) ksr_gru_run_i16(gru, scratch);
#endif
    if (gru->recurrent.is_int8 && !gru->recurrent.is_int16) ksr_gru_run_i8(gru, scratch);
#if KSR_WITH_FLOAT32
    if (!gru->recurrent.is_int8) ksr_gru_run_f32(gru, scratch);
#endif
  }
}

const ksr_op ksr_gru = {"KsrGru", sizeof(ksr_gru_node), prepare, invoke};
