#include "recurrent_check.h"

#include <stddef.h>

#include "matrix_check.h"

enum { COLUMNS_AT_ONCE = 64 }; /* while weights are summed up */

int64_t ksr_largest_x(const ksr_recurrent *recurrent, const ksr_matrix *reads_x) {
  if (recurrent->is_int16) return 32768 >> recurrent->x_shift;
  return (ksr_is_for_all(reads_x) ? 128 : 255) * (1 << recurrent->x_shift);
}

int64_t ksr_largest_h(const ksr_recurrent *recurrent) {
  return (int64_t)(1 << (recurrent->is_int16 ? recurrent->operand_bits : 8)) << recurrent->h_shift;
}

/* Takes off `room` what a matrix could add to its columns from `first` on; returns 0 where there is too little. */
static int takes_room(const ksr_matrix *matrix, int64_t largest, int32_t first, int32_t count, int32_t *room) {
  uint32_t sums[COLUMNS_AT_ONCE] = {0};
  ksr_matrix_add_magnitudes_i8(matrix, first, count, sums);
  for (int32_t i = 0; i < count; ++i) {
    const int64_t most = sums[i] * largest;
    if (most > room[i]) return 0;
    room[i] -= (int32_t)most;
  }
  return 1;
}

/* What the biases of columns `begin` to `end` leave of int32: nothing where one of them is INT32_MIN. */
static int32_t least_room(const int32_t *bias, int32_t begin, int32_t end) {
  int32_t least = INT32_MAX;
  for (int32_t i = begin; i < end; ++i) {
    const int32_t room = bias[i] < 0 ? INT32_MAX + bias[i] : INT32_MAX - bias[i];
    if (room < least) least = room;
  }
  return least;
}

int32_t ksr_sums_fit(const int32_t *start, int32_t begin, int32_t end, ksr_term one, ksr_term other) {
  const ksr_term terms[] = {one, other};
  int64_t most = 0;
  for (int32_t n = 0; n < 2; ++n) {
    const ksr_matrix *matrix = terms[n].matrix;
    if (matrix) most += 128 * terms[n].largest * (matrix->sources + (matrix->diagonal != 0));
  }
  /* Almost always there is room for any weights: their number says so, without a look at them. */
  if (most <= least_room(start, begin, end)) return 1;
  for (int32_t first = begin; first < end; first += COLUMNS_AT_ONCE) {
    const int32_t count = end - first < COLUMNS_AT_ONCE ? end - first : COLUMNS_AT_ONCE;
    int32_t room[COLUMNS_AT_ONCE];
    for (int32_t i = 0; i < count; ++i) room[i] = least_room(start, first + i, first + i + 1);
    for (int32_t n = 0; n < 2; ++n) {
      if (terms[n].matrix && !takes_room(terms[n].matrix, terms[n].largest, first - begin, count, room)) return 0;
    }
  }
  return 1;
}

static int columns_fit(const ksr_recurrent *recurrent, const ksr_matrix *kernel, const ksr_matrix *recurrent_kernel,
                       int32_t begin, int32_t end) {
  const ksr_term of_x = {kernel, ksr_largest_x(recurrent, &recurrent->kernel)};
  const ksr_term of_h = {recurrent_kernel, ksr_largest_h(recurrent)};
  return ksr_sums_fit(recurrent->bias, begin, end, of_x, of_h);
}

int32_t ksr_recurrent_state_fits(const ksr_recurrent *recurrent) {
  return columns_fit(recurrent, 0, &recurrent->recurrent_kernel, 0, KSR_SLOTS * recurrent->stride);
}

ksr_status ksr_recurrent_check(const ksr_recurrent *recurrent, const ksr_matrix *candidate) {
  enum { X_SHIFT = offsetof(ksr_recurrent_options, x_shift) / sizeof(int32_t), LEAST_HELD_SHIFT = 2 };
  const int32_t stride = recurrent->stride;
  /* Changes of int16 inputs, which have 17 bits, are to fit into 16. */
  if (recurrent->is_int16 && recurrent->input_threshold && recurrent->x_shift < LEAST_HELD_SHIFT) {
    return KSR_STATUS(KSR_WORD, X_SHIFT);
  }
  if (!KSR_WITH_HOLDS && recurrent->is_integer && recurrent->input_threshold) return KSR_NOT_BUILT;
  if (!KSR_WITH_DIAGONAL && recurrent->is_integer && recurrent->recurrent_kernel.diagonal) return KSR_NOT_BUILT;
  /* What is held, or has its diagonal apart, needs weights by sources. */
  if ((recurrent->input_threshold && ksr_is_for_all(&recurrent->kernel)) ||
      (recurrent->recurrent_kernel.diagonal && ksr_is_for_all(&recurrent->recurrent_kernel)) ||
      (candidate && candidate->diagonal && ksr_is_for_all(candidate)) ||
      (recurrent->hidden_threshold && ksr_is_for_all(&recurrent->recurrent_kernel))) {
    return KSR_STATUS(KSR_WORD, KSR_LAYOUT_WORD);
  }
  if (recurrent->is_integer &&
      (!columns_fit(recurrent, &recurrent->kernel, &recurrent->recurrent_kernel, 0, KSR_SLOTS * stride) ||
       (candidate && !columns_fit(recurrent, 0, candidate, 3 * stride, 4 * stride)))) {
    return KSR_STATUS(KSR_OVERFLOW, KSR_BIAS);
  }
  return KSR_OK;
}
