#include "ksr_matrix.h"
#include "target.h"

/* Loops of fixed length over what does not overlap: a compiler vectorises them. */
#if defined(KSR_X86) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

enum { SOURCES_AT_ONCE = 64 };

/* A source that is not zero. */
typedef struct event {
  int32_t source;
  float value;
} event;

KSR_INLINE void add_sparse(const ksr_matrix *matrix, const event *now, const event *end, int32_t block, float *acc) {
  for (; now < end; ++now) {
    const int32_t j = now->source;
    const uint32_t first = matrix->rows16 ? matrix->rows16[j] : matrix->rows32[j];
    const uint32_t last = matrix->rows16 ? matrix->rows16[j + 1] : matrix->rows32[j + 1];
    const float *restrict values = (const float *)matrix->values + first * (uint32_t)block;
    const float value = now->value;
    float *at = acc;
    for (uint32_t k = first; k < last; ++k, values += block) {
      at += matrix->index[k] * block;
      float sums[16];
      for (int32_t i = 0; i < block; ++i) sums[i] = at[i] + value * values[i];
      for (int32_t i = 0; i < block; ++i) at[i] = sums[i];
    }
  }
}

/* Rows four at a time, in their order: the accumulators are read and written once for four of them. */
KSR_INLINE void add_four_rows(const float *restrict a, const float *restrict b, const float *restrict c,
                              const float *restrict d, const event *four, float *restrict acc, int32_t count) {
  const float va = four[0].value, vb = four[1].value, vc = four[2].value, vd = four[3].value;
  for (int32_t i = 0; i < count; ++i) acc[i] = acc[i] + va * a[i] + vb * b[i] + vc * c[i] + vd * d[i];
}

KSR_INLINE void add_row(const float *restrict row, float value, float *restrict acc, int32_t count) {
  for (int32_t i = 0; i < count; ++i) acc[i] += value * row[i];
}

KSR_INLINE void add_dense(const ksr_matrix *matrix, const event *now, const event *end, float *acc) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  const uint32_t width = (uint32_t)(others + stride);
  const float *values = matrix->values;
  float *last = acc + matrix->slots.last * stride;
  for (; end - now >= 4; now += 4) {
    const float *row[4];
    for (int32_t k = 0; k < 4; ++k) row[k] = values + width * (uint32_t)now[k].source;
    add_four_rows(row[0], row[1], row[2], row[3], now, acc, others);
    add_four_rows(row[0] + others, row[1] + others, row[2] + others, row[3] + others, now, last, stride);
  }
  for (; now < end; ++now) {
    const float *row = values + width * (uint32_t)now->source;
    add_row(row, now->value, acc, others);
    add_row(row + others, now->value, last, stride);
  }
}

KSR_INLINE void add_any(const ksr_matrix *matrix, const event *now, const event *end, float *acc) {
  /* The block width as a constant, so that the compiler unrolls. */
  if (!matrix->index) {
    add_dense(matrix, now, end, acc);
  } else if (matrix->block == 4) {
    add_sparse(matrix, now, end, 4, acc);
  } else if (matrix->block == 8) {
    add_sparse(matrix, now, end, 8, acc);
  } else {
    add_sparse(matrix, now, end, 16, acc);
  }
}

KSR_INLINE void add_diagonal(const ksr_matrix *matrix, const event *now, const event *end, float *acc) {
  const int32_t stride = matrix->stride, others = matrix->slots.gates - 1;
  for (; now < end; ++now) {
    const float *weight = (const float *)matrix->diagonal + now->source;
    float *at = acc + now->source;
    for (int32_t gate = 0; gate < others; ++gate, at += stride, weight += stride) *at += now->value * *weight;
    acc[matrix->slots.last * stride + now->source] += now->value * *weight;
  }
}

KSR_INLINE void add_all(const ksr_matrix *matrix, const event *now, const event *end, float *acc) {
  add_any(matrix, now, end, acc);
  if (matrix->diagonal) add_diagonal(matrix, now, end, acc);
}

KSR_CLONED(static void add_events, add_all, (const ksr_matrix *matrix, const event *now, const event *end, float *acc),
           (matrix, now, end, acc))

void ksr_matrix_add_f32(const ksr_matrix *matrix, int32_t j, float value, float *acc) {
  const event one = {j, value};
  add_events(matrix, &one, &one + 1, acc);
}

void ksr_matrix_add_vector_f32(const ksr_matrix *matrix, const float *x, float *acc) {
  const int32_t sources = matrix->sources;
  for (int32_t j = 0; j < sources;) {
    event events[SOURCES_AT_ONCE], *end = events;
    const int32_t next = sources - j > SOURCES_AT_ONCE ? j + SOURCES_AT_ONCE : sources;
    for (; j < next; ++j) {
      if (x[j] != 0.0f) *end++ = (event){j, x[j]};
    }
    add_events(matrix, events, end, acc);
  }
}
