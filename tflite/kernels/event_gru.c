#include "ksr_event_gru.h"

#include <string.h>

#include "event_gru_steps.h"

enum { X, KERNEL, RECURRENT_KERNEL = 4, BIAS = 7, THRESHOLD, STATE_Y, STATE_C, STATE_TRACE, INPUTS };

enum { MAX_SOURCES = 65535 }; /* event indices are uint16 */

static ksr_event_gru_options read_options(const ksr_node *node) {
  ksr_event_gru_options options;
  uint8_t *bytes = (uint8_t *)&options;
  const int32_t one = 1;
  if (*(const uint8_t *)&one) {
    memcpy(bytes, node->options, sizeof(options));
  } else {
    for (uint32_t i = 0; i < sizeof(options); ++i) bytes[i] = node->options[i ^ 3u];
  }
  return options;
}

static int within(int32_t value, int32_t low, int32_t high) { return low <= value && value <= high; }

static int options_are_valid(const ksr_event_gru_options *o, int is_int8) {
  if (o->version != KSR_EVENT_GRU_VERSION || !within(o->units, 1, MAX_SOURCES)) return 0;
  if (o->block != 4 && o->block != 8 && o->block != 16) return 0;
  if (!within(o->readout, KSR_READOUT_EVENT, KSR_READOUT_TRACE) || o->trace_rate < 0) return 0;
  if ((o->go_backwards | o->return_sequences | o->reset) & ~1) return 0;
  if (!is_int8) return 1;
  for (int32_t slot = 0; slot < 4; ++slot) {
    if (o->multiplier[slot] < 0) return 0;
  }
  return within(o->x_zero_point, -128, 127) && within(o->x_shift, 0, 7) && within(o->y_shift, 0, 7) &&
         within(o->fraction, 7, 10) && within(o->event_multiplier, 0, 32767) && within(o->event_shift, 1, 30) &&
         within(o->output_multiplier, 0, 32767) && within(o->output_shift, 1, 30) &&
         within(o->output_zero_point, -128, 127);
}

/* A state tensor may be absent; its data is not in place yet while preparing. */
static int is_state(const ksr_node *node, int32_t i, int32_t type, int32_t units) {
  if (i >= node->input_count || node->inputs[i].type < 0) return 1;
  const ksr_tensor *state = &node->inputs[i];
  int32_t size = 1;
  for (int32_t d = 0; d < state->rank; ++d) {
    if (!within(state->dims[d], 1, units)) return 0;
    if (state->dims[d] > 1 && size > 1) return 0;
    size *= state->dims[d];
  }
  return state->type == type && size == units;
}

static int is_vector(const ksr_tensor *tensor, int32_t type, int32_t size) {
  return tensor->type == type && tensor->rank == 1 && tensor->dims[0] == size && tensor->data;
}

/* The largest accumulator that an input could cause, against int32. */
static int accumulators_fit(const ksr_event_gru_options *o, int32_t sources, const int32_t *bias, int32_t count) {
  const int64_t bound = 128 * (255 * (int64_t)sources * (1 << o->x_shift) + 255 * (int64_t)o->units * (1 << o->y_shift));
  if (bound > INT32_MAX) return 0;
  for (int32_t i = 0; i < count; ++i) {
    if (bias[i] > INT32_MAX - (int32_t)bound || bias[i] < -INT32_MAX + (int32_t)bound) return 0;
  }
  return 1;
}

/* Fills `gru` from a node; on anything wrong the status names it. */
static ksr_status read_node(const ksr_node *node, ksr_event_gru_node *gru) {
  if (node->options_size != sizeof(ksr_event_gru_options) || !node->options) return KSR_BAD_OPTIONS;
  if (node->input_count < THRESHOLD + 1 || node->input_count > INPUTS) return KSR_BAD_INPUT_COUNT;
  if (node->output_count != 1) return KSR_BAD_OUTPUT_COUNT;
  const ksr_tensor *in = node->inputs, *x = &in[X], *output = &node->outputs[0];
  if (x->type != KSR_INT8 && x->type != KSR_FLOAT32) return KSR_BAD_TYPE;
  if (output->type != x->type) return KSR_BAD_TYPE;

  gru->options = read_options(node);
  const ksr_event_gru_options *o = &gru->options;
  const int is_int8 = x->type == KSR_INT8;
  if (!options_are_valid(o, is_int8)) return KSR_BAD_OPTIONS;

  if (x->rank != 3 || x->dims[0] != 1 || !within(x->dims[1], 1, INT32_MAX) || !within(x->dims[2], 1, MAX_SOURCES)) {
    return KSR_BAD_X;
  }
  const int32_t units = o->units;
  gru->steps = x->dims[1];
  gru->inputs = x->dims[2];
  gru->stride = (units + o->block - 1) / o->block * o->block;
  const int32_t *shape = output->dims;
  const int sequences_fit = output->rank == 3 && shape[0] == 1 && shape[1] == gru->steps && shape[2] == units;
  const int last_fits = output->rank == 2 && shape[0] == 1 && shape[1] == units;
  if (!(o->return_sequences ? sequences_fit : last_fits)) return KSR_BAD_OUTPUT;

  const int32_t weight = is_int8 ? KSR_INT8 : KSR_FLOAT32;
  if (!ksr_matrix_from_tensors(&gru->kernel, &in[KERNEL], weight, gru->inputs, o->block, gru->stride, 2)) {
    return KSR_BAD_KERNEL;
  }
  if (!ksr_matrix_from_tensors(&gru->recurrent_kernel, &in[RECURRENT_KERNEL], weight, units, o->block, gru->stride, 3)) {
    return KSR_BAD_RECURRENT_KERNEL;
  }
  if (!is_vector(&in[BIAS], is_int8 ? KSR_INT32 : KSR_FLOAT32, 4 * gru->stride)) return KSR_BAD_BIAS;
  if (!is_vector(&in[THRESHOLD], is_int8 ? KSR_INT16 : KSR_FLOAT32, units)) return KSR_BAD_THRESHOLD;
  const int32_t state = is_int8 ? KSR_INT16 : KSR_FLOAT32;
  if (!is_state(node, STATE_Y, weight, units) || !is_state(node, STATE_C, state, units) ||
      !is_state(node, STATE_TRACE, state, units)) {
    return KSR_BAD_STATE;
  }
  gru->x = x->data;
  gru->output = output->data;
  gru->bias = in[BIAS].data;
  gru->threshold = in[THRESHOLD].data;
  gru->state_y = node->input_count > STATE_Y ? in[STATE_Y].data : 0;
  gru->state_c = node->input_count > STATE_C ? in[STATE_C].data : 0;
  gru->state_trace = node->input_count > STATE_TRACE ? in[STATE_TRACE].data : 0;
  return KSR_OK;
}

static ksr_status prepare(const ksr_node *node, uint32_t *scratch_size) {
  ksr_event_gru_node gru;
  const ksr_status status = read_node(node, &gru);
  if (status != KSR_OK) return status;
  if (!ksr_matrix_check(&gru.kernel, node->inputs[KERNEL].dims[0], 3)) return KSR_BAD_KERNEL;
  if (!ksr_matrix_check(&gru.recurrent_kernel, node->inputs[RECURRENT_KERNEL].dims[0], 4)) {
    return KSR_BAD_RECURRENT_KERNEL;
  }
  if (node->inputs[X].type == KSR_FLOAT32) {
    *scratch_size = ksr_event_gru_scratch_f32(&gru);
    return KSR_OK;
  }
  if (!accumulators_fit(&gru.options, gru.inputs, gru.bias, 4 * gru.stride)) return KSR_BAD_BIAS;
  const int16_t *threshold = gru.threshold;
  for (int32_t i = 0; i < gru.options.units; ++i) {
    if (threshold[i] < 0) return KSR_BAD_THRESHOLD;
  }
  *scratch_size = ksr_event_gru_scratch_i8(&gru);
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *scratch) {
  ksr_event_gru_node gru;
  if (read_node(node, &gru) != KSR_OK) return;
  if (node->inputs[X].type == KSR_INT8) {
    ksr_event_gru_run_i8(&gru, scratch);
  } else {
    ksr_event_gru_run_f32(&gru, scratch);
  }
}

const ksr_op ksr_event_gru = {"KsrEventGru", prepare, invoke};
