#include "recurrent.h"

#include <stddef.h>
#include <string.h>

#include "add_events.h"
#include "gates_i8.h"
#include "holds.h"
#include "vectors.h"

/* Values of the state `sums`. */
static int32_t sums_of(const ksr_recurrent *recurrent) {
  return KSR_SLOTS * recurrent->stride + (recurrent->is_int8 ? 1 : 0);
}

void ksr_recurrent_set_up(ksr_recurrent *recurrent, const ksr_node *node, int32_t *own, uint32_t own_size,
                          int32_t shared) {
  enum { WORDS = sizeof(ksr_recurrent_options) / sizeof(int32_t) };
  ksr_recurrent_options *o = &recurrent->options;
  ksr_read_words(node, 0, WORDS, &o->version);
  ksr_read_words(node, WORDS, (int32_t)(own_size / sizeof(int32_t)), own);
  recurrent->is_int16 = o->format == KSR_INT8X16_FORMAT;
  recurrent->is_int8 = o->format != KSR_FLOAT32_FORMAT;
  recurrent->shared = shared;
  recurrent->samples = node->inputs[KSR_X].dims[0];
  recurrent->steps = node->inputs[KSR_X].dims[1];
  recurrent->inputs = node->inputs[KSR_X].dims[2];
  recurrent->stride = (o->units + o->block - 1) / o->block * o->block;
  recurrent->bias = ksr_data_of(node, KSR_BIAS);
  recurrent->output_scales = ksr_data_of(node, shared + KSR_OUTPUT_SCALES);
  recurrent->input_threshold = ksr_data_of(node, shared + KSR_INPUT_THRESHOLD);
}

ksr_matrix ksr_recurrent_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_slots slots) {
  const ksr_recurrent_options *o = &recurrent->options;
  return ksr_matrix_of(node, i, i == KSR_KERNEL ? recurrent->inputs : o->units, o->block, recurrent->stride, slots);
}

static size_t bytes_of(const ksr_recurrent *recurrent, size_t count) {
  return count * (recurrent->is_int16 ? 2 : recurrent->is_int8 ? 1 : sizeof(float));
}

const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step) {
  const int32_t t = recurrent->options.go_backwards ? recurrent->steps - 1 - step : step;
  return (const uint8_t *)recurrent->x + bytes_of(recurrent, (size_t)t * (size_t)recurrent->inputs);
}

void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step) {
  const ksr_recurrent_options *o = &recurrent->options;
  const int32_t place = o->go_backwards == KSR_BACKWARDS_IN_ORDER ? recurrent->steps - 1 - step : step;
  if (o->return_sequences) return (uint8_t *)recurrent->output + bytes_of(recurrent, (size_t)place * (size_t)o->units);
  return step == recurrent->steps - 1 ? recurrent->output : 0;
}

uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent) {
  const uint32_t accumulators = ksr_accumulators_size(recurrent);
  if (!recurrent->input_threshold) return accumulators;
  return accumulators + (uint32_t)sums_of(recurrent) * (uint32_t)sizeof(int32_t) +
         ksr_aligned((uint32_t)bytes_of(recurrent, (size_t)recurrent->inputs));
}

/* A tensor's part that belongs to one sample of the batch, its first dimension. */
static void *of_sample(const ksr_tensor *tensor, int32_t sample) {
  if (!sample || !tensor->data) return tensor->data;
  size_t bytes = (size_t)ksr_size_of(tensor->type);
  for (int32_t d = 1; d < tensor->rank; ++d) bytes *= (size_t)tensor->dims[d];
  return (uint8_t *)tensor->data + (size_t)sample * bytes;
}

void *ksr_state_of(const ksr_node *node, int32_t sample, int32_t i) {
  return i < node->input_count ? of_sample(&node->inputs[i], sample) : 0;
}

/* Sums are cleared without the biases; then a 0 lies behind them. */
static void add_biases(const ksr_recurrent *recurrent) {
  const int32_t count = KSR_SLOTS * recurrent->stride;
  const uint32_t *bias = recurrent->bias;
  uint32_t *sums = recurrent->sums;
  if (sums[count]) return;
  for (int32_t i = 0; i < count; ++i) sums[i] += bias[i];
  sums[count] = 1;
}

void ksr_recurrent_begin(ksr_recurrent *recurrent, const ksr_node *node, int32_t sample, void *scratch) {
  recurrent->x = of_sample(&node->inputs[KSR_X], sample);
  recurrent->output = of_sample(&node->outputs[0], sample);
  if (!recurrent->input_threshold) return;
  const uint32_t accumulators = ksr_accumulators_size(recurrent);
  const uint32_t sums_size = (uint32_t)sums_of(recurrent) * (uint32_t)sizeof(int32_t);
  uint8_t *sums = (uint8_t *)scratch + accumulators, *held_x = sums + sums_size;
  recurrent->held_x = ksr_state_of(node, sample, recurrent->shared + KSR_HELD_X);
  recurrent->sums = ksr_state_of(node, sample, recurrent->shared + KSR_SUMS);
  if (!recurrent->sums) recurrent->sums = memset(sums, 0, sums_size);
  if (!recurrent->held_x) {
    const int zero = recurrent->is_int8 ? recurrent->options.x_zero_point : 0;
    recurrent->held_x = memset(held_x, zero, bytes_of(recurrent, (size_t)recurrent->inputs));
  }
  if (recurrent->is_int8) add_biases(recurrent);
}

enum { CHANGES_AT_ONCE = 64 };

/* Takes over those of x that have changed, and adds what they changed by to the sums. */
static void send_changes(const ksr_recurrent *recurrent, const int8_t *x) {
  const int32_t inputs = recurrent->inputs;
  for (int32_t j = 0; j < inputs; j += CHANGES_AT_ONCE) {
    ksr_event events[CHANGES_AT_ONCE];
    const int32_t count = inputs - j < CHANGES_AT_ONCE ? inputs - j : CHANGES_AT_ONCE;
    const ksr_event *end = ksr_hold_inputs(x, recurrent->input_threshold, recurrent->held_x, j, count,
                                           recurrent->options.x_shift, events);
    ksr_add_events_i8(&recurrent->kernel, events, end, recurrent->sums);
  }
}

void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc) {
  const ksr_recurrent_options *o = &recurrent->options;
  if (recurrent->input_threshold) {
    send_changes(recurrent, x);
    if (acc != recurrent->sums) ksr_copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
  ksr_copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  ksr_add_vector_i8(&recurrent->kernel, x, o->x_zero_point, 1 << o->x_shift, acc);
}

#if KSR_WITH_INT16
static int32_t operand_of_x(int32_t x, int32_t shift) { return (x + ((1 << shift) >> 1)) >> shift; }

static void send_changes_i16(const ksr_recurrent *recurrent, const int16_t *x) {
  const int32_t shift = recurrent->options.x_shift;
  const uint16_t *threshold = recurrent->input_threshold;
  int16_t *held = recurrent->held_x;
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    if (ksr_is_held(x[j] - held[j], threshold[j])) continue;
    const int32_t change = operand_of_x(x[j], shift) - operand_of_x(held[j], shift);
    held[j] = x[j];
    if (change) ksr_add_event_i8(&recurrent->kernel, j, change, recurrent->sums);
  }
}

/* acc += matrix of a vector of 16 bits, each value rounded to `shift` fewer bits and saturated to `bits`. */
static void add_vector_i16(const ksr_matrix *matrix, const int16_t *x, int32_t shift, int32_t bits, int32_t factor,
                           int32_t *acc) {
  const int32_t most = (1 << (bits - 1)) - 1;
  for (int32_t j = 0; j < matrix->sources;) {
    ksr_event events[CHANGES_AT_ONCE];
    ksr_event *end = events;
    for (; j < matrix->sources && end < events + CHANGES_AT_ONCE; ++j) {
      const int32_t value = ksr_saturate(operand_of_x(x[j], shift), -most - 1, most);
      if (value) *end++ = (ksr_event){(uint16_t)j, (int16_t)(value * factor)};
    }
    ksr_add_events_i8(matrix, events, end, acc);
  }
}

void ksr_recurrent_start_i16(const ksr_recurrent *recurrent, const int16_t *x, int32_t *acc) {
  if (recurrent->input_threshold) {
    send_changes_i16(recurrent, x);
    if (acc != recurrent->sums) ksr_copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
  ksr_copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  add_vector_i16(&recurrent->kernel, x, recurrent->options.x_shift, 16, 1, acc);
}

void ksr_recurrent_add_i16(const ksr_recurrent *recurrent, const int16_t *h, int32_t *acc) {
  const ksr_recurrent_options *o = &recurrent->options;
  add_vector_i16(&recurrent->recurrent_kernel, h, 0, o->operand_bits, 1 << o->h_shift, acc);
}
#endif

void ksr_recurrent_add_i8(const ksr_recurrent *recurrent, const int8_t *h, int32_t *acc) {
  ksr_add_vector_i8(&recurrent->recurrent_kernel, h, 0, 1 << recurrent->options.h_shift, acc);
}

void ksr_recurrent_scale_outputs(const ksr_recurrent *recurrent, int32_t first, int32_t slots, int32_t *acc) {
  const int16_t *scale = recurrent->output_scales;
  if (!scale) return;
  acc += first * recurrent->stride;
  scale += first * recurrent->stride;
  ksr_scale_i32(acc, scale, slots * recurrent->stride);
}

#if KSR_WITH_FLOAT32
static void send_changes_f32(const ksr_recurrent *recurrent, const float *x) {
  const float *threshold = recurrent->input_threshold;
  float *held = recurrent->held_x;
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    const float change = x[j] - held[j];
    if (!(change > threshold[j] || -change > threshold[j])) continue;
    held[j] = x[j];
    ksr_matrix_add_f32(&recurrent->kernel, j, change, recurrent->sums);
  }
}

void ksr_recurrent_start_f32(const ksr_recurrent *recurrent, const float *x, float *acc) {
  if (recurrent->input_threshold) {
    send_changes_f32(recurrent, x);
    const float *bias = recurrent->bias, *sums = recurrent->sums;
    for (int32_t i = 0; i < KSR_SLOTS * recurrent->stride; ++i) acc[i] = bias[i] + sums[i];
    return;
  }
  memcpy(acc, recurrent->bias, KSR_SLOTS * (uint32_t)recurrent->stride * sizeof(float));
  ksr_matrix_add_vector_f32(&recurrent->kernel, x, acc);
}
#endif
