/* Weights of 4 bits. */
#include "add_events.h"

#if KSR_WITH_WEIGHTS_4

/* Four weights in two bytes. */
static inline void add_4(const int8_t *values, int32_t value, int32_t *acc) {
  const int32_t first = values[0], second = values[1];
  const int32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
  acc[0] = a0 + value * ((int32_t)((uint32_t)first << 28) >> 28);
  acc[1] = a1 + value * (first >> 4);
  acc[2] = a2 + value * ((int32_t)((uint32_t)second << 28) >> 28);
  acc[3] = a3 + value * (second >> 4);
}

static inline void add_row(const int8_t *values, int32_t count, int32_t value, int32_t *acc) {
  for (const int32_t *end = acc + count; acc < end; values += 2, acc += 4) add_4(values, value, acc);
}

static inline void add_sparse(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t block,
                              int32_t *first_acc) {
  const uint16_t *rows16 = matrix->rows16;
  const uint32_t *rows32 = matrix->rows32;
  for (; event < end; ++event) {
    const uint32_t j = event->source;
    const uint32_t first = rows16 ? rows16[j] : rows32[j], last = rows16 ? rows16[j + 1] : rows32[j + 1];
    const int8_t *values = (const int8_t *)matrix->values + first * (uint32_t)(block / 2);
    int32_t *acc = first_acc;
    for (uint32_t k = first; k < last; ++k, values += block / 2) {
      acc += matrix->index[k] * block;
      for (int32_t i = 0; i < block; i += 4) add_4(values + i / 2, event->value, acc + i);
    }
  }
}

static void add_dense(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  for (; event < end; ++event) {
    const int8_t *values = (const int8_t *)matrix->values + (uint32_t)(others + stride) / 2 * event->source;
    add_row(values, others, event->value, acc);
    add_row(values + others / 2, stride, event->value, acc + matrix->slots.last * stride);
  }
}

void ksr_add_events_4_portable(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
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

#endif /* KSR_WITH_WEIGHTS_4 */
