#include "recurrent.h"

#include <string.h>

enum { MAX_SOURCES = 65535 }; /* event indices are uint16 */

int ksr_is_within(int32_t value, int32_t low, int32_t high) { return low <= value && value <= high; }

int ksr_is_vector(const ksr_tensor *tensor, int32_t type, int32_t size) {
  return tensor->type == type && tensor->rank == 1 && tensor->dims[0] == size && tensor->data;
}

static void read_words(void *words, const uint8_t *little_endian, uint32_t size) {
  uint8_t *bytes = words;
  const int32_t one = 1;
  if (*(const uint8_t *)&one) {
    memcpy(bytes, little_endian, size);
  } else {
    for (uint32_t i = 0; i < size; ++i) bytes[i] = little_endian[i ^ 3u];
  }
}

static int is_rescaling(ksr_rescaling r) {
  return ksr_is_within(r.multiplier, 0, 32767) && ksr_is_within(r.shift, 1, 30);
}

static int options_are_valid(const ksr_recurrent_options *o, int is_int8) {
  if (o->version != KSR_OPTIONS_VERSION || !ksr_is_within(o->units, 1, MAX_SOURCES)) return 0;
  if (o->block != 4 && o->block != 8 && o->block != 16) return 0;
  if (o->return_sequences & ~1 || !ksr_is_within(o->go_backwards, 0, 1 + o->return_sequences)) return 0;
  if (!is_int8) return 1;
  for (int32_t slot = 0; slot < KSR_SLOTS; ++slot) {
    if (o->multiplier[slot] < 0) return 0;
  }
  return ksr_is_within(o->x_zero_point, -128, 127) && ksr_is_within(o->x_shift, 0, 7) &&
         ksr_is_within(o->h_shift, 0, 7) && ksr_is_within(o->fraction, 7, 10) && is_rescaling(o->operand) &&
         is_rescaling(o->output) && ksr_is_within(o->output_zero_point, -128, 127);
}

ksr_status ksr_recurrent_read(ksr_recurrent *recurrent, const ksr_node *node, void *options, uint32_t size,
                              int32_t required, int32_t allowed) {
  if (node->options_size != size || !node->options) return KSR_BAD_OPTIONS;
  if (node->input_count < required || node->input_count > allowed) return KSR_BAD_INPUT_COUNT;
  if (node->output_count != 1) return KSR_BAD_OUTPUT_COUNT;
  const ksr_tensor *x = &node->inputs[KSR_X], *output = &node->outputs[0];
  if (x->type != KSR_INT8 && x->type != KSR_FLOAT32) return KSR_BAD_TYPE;
  if (output->type != x->type) return KSR_BAD_TYPE;

  read_words(options, node->options, size);
  memcpy(&recurrent->options, options, sizeof(recurrent->options));
  const ksr_recurrent_options *o = &recurrent->options;
  recurrent->is_int8 = x->type == KSR_INT8;
  if (!options_are_valid(o, recurrent->is_int8)) return KSR_BAD_OPTIONS;

  if (x->rank != 3 || x->dims[0] != 1 || !ksr_is_within(x->dims[1], 1, INT32_MAX) ||
      !ksr_is_within(x->dims[2], 1, MAX_SOURCES)) {
    return KSR_BAD_X;
  }
  recurrent->steps = x->dims[1];
  recurrent->inputs = x->dims[2];
  recurrent->stride = (o->units + o->block - 1) / o->block * o->block;
  recurrent->x = x->data;
  const int32_t *shape = output->dims;
  const int sequences_fit =
      output->rank == 3 && shape[0] == 1 && shape[1] == recurrent->steps && shape[2] == o->units;
  const int last_fits = output->rank == 2 && shape[0] == 1 && shape[1] == o->units;
  if (!(o->return_sequences ? sequences_fit : last_fits)) return KSR_BAD_OUTPUT;
  recurrent->output = output->data;
  return KSR_OK;
}

static int read_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, int32_t sources,
                       ksr_slots slots, ksr_matrix *matrix) {
  const int32_t type = recurrent->is_int8 ? KSR_INT8 : KSR_FLOAT32;
  return ksr_matrix_from_tensors(matrix, &node->inputs[i], type, sources, recurrent->options.block, recurrent->stride,
                                 slots);
}

int ksr_recurrent_read_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_slots slots,
                              ksr_matrix *matrix) {
  return read_matrix(recurrent, node, i, recurrent->options.units, slots, matrix);
}

ksr_status ksr_recurrent_read_weights(ksr_recurrent *recurrent, const ksr_node *node, ksr_slots kernel,
                                      ksr_slots recurrent_kernel) {
  if (!read_matrix(recurrent, node, KSR_KERNEL, recurrent->inputs, kernel, &recurrent->kernel)) return KSR_BAD_KERNEL;
  if (!ksr_recurrent_read_matrix(recurrent, node, KSR_RECURRENT_KERNEL, recurrent_kernel,
                                 &recurrent->recurrent_kernel)) {
    return KSR_BAD_RECURRENT_KERNEL;
  }
  const ksr_tensor *bias = &node->inputs[KSR_BIAS];
  if (!ksr_is_vector(bias, recurrent->is_int8 ? KSR_INT32 : KSR_FLOAT32, KSR_SLOTS * recurrent->stride)) {
    return KSR_BAD_BIAS;
  }
  recurrent->bias = bias->data;
  return KSR_OK;
}

int ksr_recurrent_read_state(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_type type,
                             void **state) {
  *state = 0;
  if (i >= node->input_count || node->inputs[i].type < 0) return 1;
  const ksr_tensor *tensor = &node->inputs[i];
  const int32_t units = recurrent->options.units;
  int32_t size = 1;
  for (int32_t d = 0; d < tensor->rank; ++d) {
    if (!ksr_is_within(tensor->dims[d], 1, units)) return 0;
    if (tensor->dims[d] > 1 && size > 1) return 0;
    size *= tensor->dims[d];
  }
  *state = tensor->data;
  return tensor->type == (recurrent->is_int8 ? (int32_t)type : KSR_FLOAT32) && size == units;
}

/* The largest accumulator that an input could cause, against int32. */
static int accumulators_fit(const ksr_recurrent *recurrent) {
  const ksr_recurrent_options *o = &recurrent->options;
  const int64_t sources = (int64_t)recurrent->inputs * (1 << o->x_shift) + (int64_t)o->units * (1 << o->h_shift);
  const int64_t bound = 128 * 255 * sources;
  if (bound > INT32_MAX) return 0;
  const int32_t *bias = recurrent->bias;
  for (int32_t i = 0; i < KSR_SLOTS * recurrent->stride; ++i) {
    if (bias[i] > INT32_MAX - (int32_t)bound || bias[i] < -INT32_MAX + (int32_t)bound) return 0;
  }
  return 1;
}

ksr_status ksr_recurrent_check(const ksr_recurrent *recurrent, const ksr_node *node) {
  if (!ksr_matrix_check(&recurrent->kernel, node->inputs[KSR_KERNEL].dims[0])) return KSR_BAD_KERNEL;
  if (!ksr_matrix_check(&recurrent->recurrent_kernel, node->inputs[KSR_RECURRENT_KERNEL].dims[0])) {
    return KSR_BAD_RECURRENT_KERNEL;
  }
  return recurrent->is_int8 && !accumulators_fit(recurrent) ? KSR_BAD_BIAS : KSR_OK;
}

static int32_t bytes_of(const ksr_recurrent *recurrent, int32_t count) {
  return count * (recurrent->is_int8 ? 1 : (int32_t)sizeof(float));
}

const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step) {
  const int32_t t = recurrent->options.go_backwards ? recurrent->steps - 1 - step : step;
  return (const uint8_t *)recurrent->x + bytes_of(recurrent, t * recurrent->inputs);
}

void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step) {
  const ksr_recurrent_options *o = &recurrent->options;
  const int32_t place = o->go_backwards == KSR_BACKWARDS_IN_ORDER ? recurrent->steps - 1 - step : step;
  if (o->return_sequences) return (uint8_t *)recurrent->output + bytes_of(recurrent, place * o->units);
  return step == recurrent->steps - 1 ? recurrent->output : 0;
}

void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc) {
  const ksr_recurrent_options *o = &recurrent->options;
  memcpy(acc, recurrent->bias, KSR_SLOTS * (uint32_t)recurrent->stride * sizeof(int32_t));
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    const int32_t value = x[j] - o->x_zero_point;
    if (value) ksr_matrix_add_i8(&recurrent->kernel, j, value * (1 << o->x_shift), acc);
  }
}

void ksr_recurrent_start_f32(const ksr_recurrent *recurrent, const float *x, float *acc) {
  memcpy(acc, recurrent->bias, KSR_SLOTS * (uint32_t)recurrent->stride * sizeof(float));
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    if (x[j] != 0.0f) ksr_matrix_add_f32(&recurrent->kernel, j, x[j], acc);
  }
}
