#include "ksr_lstm.h"

#include "lstm_steps.h"

enum { STATE_H = KSR_OWN_INPUTS, STATE_C, STATE_HELD_X, STATE_SUMS, INPUTS };

/* Fills `lstm` from a node; on anything wrong the status names it. */
static ksr_status read_node(const ksr_node *node, ksr_lstm_node *lstm) {
  const ksr_slots slots = {4, 3};
  ksr_recurrent *r = &lstm->recurrent;
  ksr_status status = ksr_recurrent_read(r, node, &lstm->options, sizeof(lstm->options), KSR_BIAS + 1, INPUTS);
  if (status != KSR_OK) return status;
  if (!ksr_is_within(lstm->options.cell_bits, 0, r->is_int8 ? 7 : 0)) return KSR_BAD_OPTIONS;
  status = ksr_recurrent_read_weights(r, node, slots, slots);
  if (status != KSR_OK) return status;
  if (!ksr_recurrent_has_state(r, node, STATE_H, KSR_INT8) || !ksr_recurrent_has_state(r, node, STATE_C, KSR_INT16)) {
    return KSR_BAD_STATE;
  }
  return ksr_recurrent_read_hold(r, node, STATE_HELD_X);
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_lstm_node *lstm = data;
  ksr_status status = read_node(node, lstm);
  if (status == KSR_OK) status = ksr_recurrent_check(&lstm->recurrent, node);
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
    ksr_recurrent_begin(&lstm->recurrent, node, sample, STATE_HELD_X, scratch);
    lstm->h = ksr_state_of(node, sample, STATE_H);
    lstm->c = ksr_state_of(node, sample, STATE_C);
#if KSR_WITH_INT16
    if (lstm->recurrent.is_int16) ksr_lstm_run_i16(lstm, scratch);
#endif
    if (lstm->recurrent.is_int8 && !lstm->recurrent.is_int16) ksr_lstm_run_i8(lstm, scratch);
#if KSR_WITH_FLOAT32
    if (!lstm->recurrent.is_int8) ksr_lstm_run_f32(lstm, scratch);
#endif
  }
}

const ksr_op ksr_lstm = {"KsrLstm", sizeof(ksr_lstm_node), prepare, invoke};
