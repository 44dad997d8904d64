#include "recurrent.h"

#include <string.h>

#include "gates_i8.h"
#include "holds.h"
#include "multiply_any.h"
#include "vectors.h"

uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent) {
  return (uint32_t)(KSR_SLOTS * recurrent->stride) * (uint32_t)sizeof(int32_t);
}

void ksr_recurrent_add_biases(const ksr_recurrent *recurrent) {
  const int32_t count = KSR_SLOTS * recurrent->stride;
  const uint32_t *bias = recurrent->bias;
  uint32_t *sums = recurrent->sums;
  for (int32_t i = 0; i < count; ++i) sums[i] += bias[i];
  sums[count] = 1;
}

enum { CHANGES_AT_ONCE = 64 };

#if KSR_WITH_HOLDS
/* Takes over those of a matrix' sources that have changed, and adds what they changed by to the sums. */
static void send_changes(const ksr_matrix *matrix, const int8_t *x, const uint8_t *threshold, int8_t *held,
                         int32_t shift, int32_t *sums) {
  const int32_t sources = matrix->sources;
  for (int32_t j = 0; j < sources; j += CHANGES_AT_ONCE) {
    ksr_event events[CHANGES_AT_ONCE];
    const int32_t count = sources - j < CHANGES_AT_ONCE ? sources - j : CHANGES_AT_ONCE;
    const ksr_event *end = ksr_hold_inputs(x + j, threshold + j, held + j, j, count, shift, events);
    ksr_add_events(matrix, events, end, sums);
  }
}
#endif

void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc) {
#if KSR_WITH_HOLDS
  if (recurrent->input_threshold) {
    send_changes(&recurrent->kernel, x, recurrent->input_threshold, recurrent->held_x, recurrent->x_shift,
                 recurrent->sums);
    if (acc != recurrent->sums) ksr_copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
#endif
  ksr_copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  ksr_multiply_all_i8(&recurrent->kernel, x, recurrent->x_zero_point, recurrent->x_shift, acc);
}

#if KSR_WITH_INT16
static int32_t operand_i16(ksr_operand to, int32_t x) {
  const int32_t most = (1 << (to.bits - 1)) - 1;
  return ksr_saturate((x + ((1 << to.shift) >> 1)) >> to.shift, -most - 1, most);
}

static void send_changes_i16(const ksr_matrix *matrix, const int16_t *x, const uint16_t *threshold, int16_t *held,
                             ksr_operand to, int32_t *sums) {
  for (int32_t j = 0; j < matrix->sources; ++j) {
    if (ksr_is_held(x[j] - held[j], threshold[j])) continue;
    const int32_t change = operand_i16(to, x[j]) - operand_i16(to, held[j]);
    held[j] = x[j];
    if (change) ksr_add_event(matrix, j, change * (1 << to.left), sums);
  }
}

static void multiply_i16(const ksr_matrix *matrix, const int16_t *x, ksr_operand to, int32_t *acc) {
  int16_t operands[KSR_SOURCES_AT_ONCE];
  const int32_t sources = matrix->sources;
  for (int32_t j = 0; j < sources; j += KSR_SOURCES_AT_ONCE) {
    const int32_t count = sources - j < KSR_SOURCES_AT_ONCE ? sources - j : KSR_SOURCES_AT_ONCE;
    for (int32_t i = 0; i < count; ++i) operands[i] = (int16_t)operand_i16(to, x[j + i]);
    ksr_multiply_by_i16(matrix, operands, j, count, to.left, acc);
  }
}

void ksr_add_vector_i16(const ksr_matrix *matrix, const int16_t *x, ksr_operand to, int32_t *acc) {
  if (ksr_is_for_all(matrix)) {
    multiply_i16(matrix, x, to, acc);
    return;
  }
  for (int32_t j = 0; j < matrix->sources;) {
    ksr_event events[CHANGES_AT_ONCE];
    ksr_event *end = events;
    for (; j < matrix->sources && end < events + CHANGES_AT_ONCE; ++j) {
      const int32_t value = operand_i16(to, x[j]);
      if (value) *end++ = (ksr_event){(uint16_t)j, (int16_t)(value * (1 << to.left))};
    }
    ksr_add_events(matrix, events, end, acc);
  }
}

void ksr_recurrent_start_i16(const ksr_recurrent *recurrent, const int16_t *x, int32_t *acc) {
  const ksr_operand of_x = {recurrent->x_shift, 16, 0};
  if (KSR_WITH_HOLDS && recurrent->input_threshold) {
    send_changes_i16(&recurrent->kernel, x, recurrent->input_threshold, recurrent->held_x, of_x, recurrent->sums);
    if (acc != recurrent->sums) ksr_copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
  ksr_copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  ksr_add_vector_i16(&recurrent->kernel, x, of_x, acc);
}

void ksr_recurrent_accumulate_i16(const ksr_recurrent *recurrent, const int16_t *x, const int16_t *h, int32_t *acc) {
  const ksr_matrix *matrix = &recurrent->recurrent_kernel;
  const ksr_operand of_h = {0, recurrent->operand_bits, recurrent->h_shift};
  const int holds_h = KSR_WITH_HOLDS && recurrent->hidden_threshold != 0;
  if (holds_h) send_changes_i16(matrix, h, recurrent->hidden_threshold, recurrent->held_h, of_h, recurrent->sums);
  ksr_recurrent_start_i16(recurrent, x, acc);
  if (!holds_h) ksr_add_vector_i16(matrix, h, of_h, acc);
}
#endif

void ksr_recurrent_accumulate_i8(const ksr_recurrent *recurrent, const int8_t *x, const int8_t *h, int32_t *acc) {
  const ksr_matrix *matrix = &recurrent->recurrent_kernel;
#if KSR_WITH_HOLDS
  if (recurrent->hidden_threshold) {
    send_changes(matrix, h, recurrent->hidden_threshold, recurrent->held_h, recurrent->h_shift, recurrent->sums);
  }
#endif
  ksr_recurrent_start_i8(recurrent, x, acc);
  if (!recurrent->hidden_threshold) ksr_multiply_all_i8(matrix, h, 0, recurrent->h_shift, acc);
}

#if KSR_WITH_FLOAT32
void ksr_send_changes_f32(const ksr_matrix *matrix, const float *x, const float *threshold, float *held, float *sums) {
  for (int32_t j = 0; j < matrix->sources; ++j) {
    const float change = x[j] - held[j];
    if (!(change > threshold[j] || -change > threshold[j])) continue;
    held[j] = x[j];
    ksr_matrix_add_f32(matrix, j, change, sums);
  }
}

void ksr_recurrent_start_f32(const ksr_recurrent *recurrent, const float *x, float *acc) {
  if (recurrent->input_threshold) {
    ksr_send_changes_f32(&recurrent->kernel, x, recurrent->input_threshold, recurrent->held_x, recurrent->sums);
    const float *bias = recurrent->bias, *sums = recurrent->sums;
    for (int32_t i = 0; i < KSR_SLOTS * recurrent->stride; ++i) acc[i] = bias[i] + sums[i];
    return;
  }
  memcpy(acc, recurrent->bias, KSR_SLOTS * (uint32_t)recurrent->stride * sizeof(float));
  ksr_matrix_add_vector_f32(&recurrent->kernel, x, acc);
}

void ksr_recurrent_accumulate_f32(const ksr_recurrent *recurrent, const float *x, const float *h, float *acc) {
  const ksr_matrix *matrix = &recurrent->recurrent_kernel;
  const float *threshold = recurrent->hidden_threshold;
  if (threshold) ksr_send_changes_f32(matrix, h, threshold, recurrent->held_h, recurrent->sums);
  ksr_recurrent_start_f32(recurrent, x, acc);
  if (!threshold) ksr_matrix_add_vector_f32(matrix, h, acc);
}
#endif
