#include "recurrent.h"

#include <string.h>

#include "add_events.h"
#include "gates_i8.h"
#include "holds.h"
#include "multiply.h"
#include "vectors.h"

const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step) {
  const int32_t t = recurrent->go_backwards ? recurrent->steps - 1 - step : step;
  return (const uint8_t *)recurrent->x + ksr_bytes_of(recurrent, (size_t)t * (size_t)recurrent->inputs);
}

void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step) {
  if (!recurrent->output) return 0;
  const int32_t place = recurrent->go_backwards == KSR_BACKWARDS_IN_ORDER ? recurrent->steps - 1 - step : step;
  if (recurrent->return_sequences) return (uint8_t *)recurrent->output + ksr_bytes_of(recurrent, (size_t)place * (size_t)recurrent->units);
  return step == recurrent->steps - 1 ? recurrent->output : 0;
}

uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent) {
  const uint32_t accumulators = ksr_accumulators_size(recurrent);
  if (!recurrent->input_threshold) return accumulators;
  return accumulators + (uint32_t)ksr_sums_of(recurrent) * (uint32_t)sizeof(int32_t) +
         ksr_aligned((uint32_t)ksr_bytes_of(recurrent, (size_t)recurrent->inputs));
}

void ksr_recurrent_start_sums(const ksr_recurrent *recurrent) {
  const int32_t count = KSR_SLOTS * recurrent->stride;
  const uint32_t *bias = recurrent->bias;
  uint32_t *sums = recurrent->sums;
  if (!KSR_WITH_HOLDS || !recurrent->input_threshold || sums[count]) return;
  for (int32_t i = 0; i < count; ++i) sums[i] += bias[i];
  sums[count] = 1;
}

enum { CHANGES_AT_ONCE = 64 };

#if KSR_WITH_HOLDS
/* Takes over those of x that have changed, and adds what they changed by to the sums. */
static void send_changes(const ksr_recurrent *recurrent, const int8_t *x) {
  const int32_t inputs = recurrent->inputs;
  for (int32_t j = 0; j < inputs; j += CHANGES_AT_ONCE) {
    ksr_event events[CHANGES_AT_ONCE];
    const int32_t count = inputs - j < CHANGES_AT_ONCE ? inputs - j : CHANGES_AT_ONCE;
    const ksr_event *end = ksr_hold_inputs(x, recurrent->input_threshold, recurrent->held_x, j, count,
                                           recurrent->x_shift, events);
    ksr_add_events_i8(&recurrent->kernel, events, end, recurrent->sums);
  }
}
#endif

void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc) {
#if KSR_WITH_HOLDS
  if (recurrent->input_threshold) {
    send_changes(recurrent, x);
    if (acc != recurrent->sums) ksr_copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
#endif
  ksr_copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  ksr_multiply_all_i8(&recurrent->kernel, x, recurrent->x_zero_point, recurrent->x_shift, acc);
}

#if KSR_WITH_INT16
static int32_t operand_of_x(int32_t x, int32_t shift) { return (x + ((1 << shift) >> 1)) >> shift; }

static void send_changes_i16(const ksr_recurrent *recurrent, const int16_t *x) {
  const int32_t shift = recurrent->x_shift;
  const uint16_t *threshold = recurrent->input_threshold;
  int16_t *held = recurrent->held_x;
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    if (ksr_is_held(x[j] - held[j], threshold[j])) continue;
    const int32_t change = operand_of_x(x[j], shift) - operand_of_x(held[j], shift);
    held[j] = x[j];
    if (change) ksr_add_event_i8(&recurrent->kernel, j, change, recurrent->sums);
  }
}

/* Likewise of a matrix by outputs. */
static void multiply_i16(const ksr_matrix *matrix, const int16_t *x, int32_t shift, int32_t bits, int32_t h_shift,
                         int32_t *acc) {
  int16_t operands[KSR_SOURCES_AT_ONCE];
  const int32_t most = (1 << (bits - 1)) - 1, sources = matrix->sources;
  for (int32_t j = 0; j < sources; j += KSR_SOURCES_AT_ONCE) {
    const int32_t count = sources - j < KSR_SOURCES_AT_ONCE ? sources - j : KSR_SOURCES_AT_ONCE;
    for (int32_t i = 0; i < count; ++i) {
      operands[i] = (int16_t)ksr_saturate(operand_of_x(x[j + i], shift), -most - 1, most);
    }
    ksr_multiply_i16(matrix, operands, j, count, h_shift, acc);
  }
}

/* acc += matrix of a vector of 16 bits, each value rounded to `shift` fewer bits and saturated to `bits`. */
static void add_vector_i16(const ksr_matrix *matrix, const int16_t *x, int32_t shift, int32_t bits, int32_t h_shift,
                           int32_t *acc) {
  const int32_t most = (1 << (bits - 1)) - 1;
  if (ksr_is_by_outputs(matrix)) {
    multiply_i16(matrix, x, shift, bits, h_shift, acc);
    return;
  }
  for (int32_t j = 0; j < matrix->sources;) {
    ksr_event events[CHANGES_AT_ONCE];
    ksr_event *end = events;
    for (; j < matrix->sources && end < events + CHANGES_AT_ONCE; ++j) {
      const int32_t value = ksr_saturate(operand_of_x(x[j], shift), -most - 1, most);
      if (value) *end++ = (ksr_event){(uint16_t)j, (int16_t)(value * (1 << h_shift))};
    }
    ksr_add_events_i8(matrix, events, end, acc);
  }
}

void ksr_recurrent_start_i16(const ksr_recurrent *recurrent, const int16_t *x, int32_t *acc) {
  if (KSR_WITH_HOLDS && recurrent->input_threshold) {
    send_changes_i16(recurrent, x);
    if (acc != recurrent->sums) ksr_copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
  ksr_copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  add_vector_i16(&recurrent->kernel, x, recurrent->x_shift, 16, 0, acc);
}

void ksr_recurrent_add_i16(const ksr_recurrent *recurrent, const int16_t *h, int32_t *acc) {
  add_vector_i16(&recurrent->recurrent_kernel, h, 0, recurrent->operand_bits, recurrent->h_shift, acc);
}
#endif

void ksr_recurrent_add_i8(const ksr_recurrent *recurrent, const int8_t *h, int32_t *acc) {
  ksr_multiply_all_i8(&recurrent->recurrent_kernel, h, 0, recurrent->h_shift, acc);
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
