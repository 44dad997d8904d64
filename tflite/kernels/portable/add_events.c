#include "add_events.h"

#include <string.h>

#include "ksr_gates.h"

enum { SOURCES_AT_ONCE = 64 };

static inline void add_4(const int8_t *values, int32_t value, int32_t *acc) {
#ifdef KSR_SHORT_PRODUCT
  /* Eight registers and no loads with sign and offset: one weight after the other, all four by one load. */
  int32_t weights;
  memcpy(&weights, __builtin_assume_aligned(values, 4), sizeof(weights));
  acc[0] += value * (int8_t)weights;
  acc[1] += value * ((int32_t)((uint32_t)weights << 16) >> 24);
  acc[2] += value * ((int32_t)((uint32_t)weights << 8) >> 24);
  acc[3] += value * (weights >> 24);
#else
  /* Loads before stores: the compiler cannot know that the weights are not accumulators. */
  const int32_t w0 = values[0], w1 = values[1], w2 = values[2], w3 = values[3];
  const int32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
  acc[0] = a0 + value * w0;
  acc[1] = a1 + value * w1;
  acc[2] = a2 + value * w2;
  acc[3] = a3 + value * w3;
#endif
}

static inline void add_row(const int8_t *values, int32_t count, int32_t value, int32_t *acc) {
  for (const int8_t *end = values + count; values < end; values += 4, acc += 4) add_4(values, value, acc);
}

static inline void add_blocks(const int8_t *values, const uint8_t *index, const uint8_t *end, int32_t block,
                              int32_t value, int32_t *acc) {
  for (; index < end; values += block) {
    acc += *index++ * block;
    for (int32_t i = 0; i < block; i += 4) add_4(values + i, value, acc + i);
  }
}

static inline void add_sparse(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t block,
                              int32_t *acc) {
  const int8_t *values = matrix->values;
  const uint8_t *index = matrix->index;
  const uint16_t *rows16 = matrix->rows16;
  const uint32_t *rows32 = matrix->rows32;
  for (; event < end; ++event) {
    const uint32_t j = event->source;
    const uint32_t first = rows16 ? rows16[j] : rows32[j], last = rows16 ? rows16[j + 1] : rows32[j + 1];
    add_blocks(values + first * (uint32_t)block, index + first, index + last, block, event->value, acc);
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

void ksr_add_events_i8_portable(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  /* The block width as a constant, so that the compiler unrolls and vectorises. */
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

/* Lists the sources from number `first` on whose values are not zero; returns the end of the list. */
static inline ksr_event *list(const int8_t *x, int32_t first, int32_t count, int32_t zero_point, int32_t factor,
                              ksr_event *event) {
  for (int32_t j = 0; j < count; ++j) {
    const int32_t value = (x[j] - zero_point) * factor;
    if (!value) continue;
    event->source = (uint16_t)(first + j);
    event->value = (int16_t)value;
    ++event;
  }
  return event;
}

void ksr_add_vector_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                int32_t zero_point, int32_t factor, int32_t *acc) {
  for (int32_t j = 0; j < count; j += SOURCES_AT_ONCE) {
    ksr_event events[SOURCES_AT_ONCE];
    const int32_t now = count - j < SOURCES_AT_ONCE ? count - j : SOURCES_AT_ONCE;
    ksr_add_rows(matrix, events, list(x + j, first + j, now, zero_point, factor, events), acc);
  }
}
