/* The loops over events for arm64: four products and sums by one SMLAL. */
#include "add_events.h"

#ifdef KSR_NEON

#include <arm_neon.h>
#include <string.h>

static inline void add_4(int16x4_t weights, int16_t value, int32_t *acc) {
  vst1q_s32(acc, vmlal_n_s16(vld1q_s32(acc), weights, value));
}

static inline void add_8(const int8_t *values, int16_t value, int32_t *acc) {
  const int16x8_t weights = vmovl_s8(vld1_s8(values));
  add_4(vget_low_s16(weights), value, acc);
  add_4(vget_high_s16(weights), value, acc + 4);
}

static inline void add_last_4(const int8_t *values, int16_t value, int32_t *acc) {
  uint32_t four;
  memcpy(&four, values, sizeof(four));
  add_4(vget_low_s16(vmovl_s8(vcreate_s8(four))), value, acc);
}

/* A multiple of four. */
static inline void add_row(const int8_t *values, int32_t count, int16_t value, int32_t *acc) {
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) add_8(values + i, value, acc + i);
  if (i < count) add_last_4(values + i, value, acc + i);
}

static inline uint32_t row_start(const ksr_matrix *matrix, uint32_t j) {
  return matrix->rows16 ? matrix->rows16[j] : matrix->rows32[j];
}

static inline void add_sparse(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t block,
                              int32_t *acc) {
  for (; event < end; ++event) {
    const uint32_t first = row_start(matrix, event->source), last = row_start(matrix, event->source + 1u);
    const int8_t *values = (const int8_t *)matrix->values + first * (uint32_t)block;
    int32_t *at = acc;
    for (uint32_t k = first; k < last; ++k, values += block) {
      at += matrix->index[k] * block;
      add_row(values, block, event->value, at);
    }
  }
}

static void add_dense(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  for (; event < end; ++event) {
    const int8_t *values = (const int8_t *)matrix->values + (uint32_t)(others + stride) * event->source;
    add_row(values, others, event->value, acc);
    add_row(values + others, stride, event->value, acc + matrix->slots.last * stride);
  }
}

void ksr_add_events_i8_neon(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (ksr_is_by_sources(matrix)) {
    add_dense(matrix, event, end, acc);
  } else if (ksr_has_blocks_of_4(matrix)) {
    add_sparse(matrix, event, end, 4, acc);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_sparse(matrix, event, end, 8, acc);
  } else if (KSR_WITH_BLOCKS_16) {
    add_sparse(matrix, event, end, 16, acc);
  }
}

#endif /* KSR_NEON */
