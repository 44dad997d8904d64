/* The loops over events for x86-64: SSE2, which each of them has, and AVX2 where the processor says so at run time.
 * AVX-512 pays in dense matrices alone. */
#include "add_events.h"

#ifdef KSR_X86

#include <immintrin.h>
#include <string.h>

/* Pairs of int16 (weight, 0) times (value, ..): products of int32 by one PMADDWD, without the slower PMULLD. */
static inline void add_4(const int8_t *values, __m128i value, int32_t *acc) {
  int32_t four;
  memcpy(&four, values, sizeof(four));
  const __m128i bytes = _mm_cvtsi32_si128(four), zero = _mm_setzero_si128();
  const __m128i words = _mm_srai_epi16(_mm_unpacklo_epi8(zero, bytes), 8);
  const __m128i products = _mm_madd_epi16(_mm_unpacklo_epi16(words, zero), value);
  __m128i *at = (__m128i *)(void *)acc;
  _mm_storeu_si128(at, _mm_add_epi32(_mm_loadu_si128(at), products));
}

__attribute__((target("avx2"))) static inline void add_8(const int8_t *values, __m256i value, int32_t *acc) {
  const __m256i weights = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)values));
  /* The upper half of each pair is the sign's; it meets a zero. */
  __m256i *at = (__m256i *)(void *)acc;
  _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), _mm256_madd_epi16(weights, value)));
}

static inline uint32_t row_start(const ksr_matrix *matrix, uint32_t j) {
  return matrix->rows16 ? matrix->rows16[j] : matrix->rows32[j];
}

#define DEFINE_SPARSE(name, attributes, vector, broadcast, width, add, block)                                         \
  attributes static void name(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) { \
    for (; event < end; ++event) {                                                                                    \
      const uint32_t first = row_start(matrix, event->source), last = row_start(matrix, event->source + 1u);          \
      const int8_t *values = (const int8_t *)matrix->values + first * (block);                                        \
      const vector value = broadcast((uint16_t)event->value);                                                         \
      int32_t *at = acc;                                                                                              \
      for (uint32_t k = first; k < last; ++k, values += (block)) {                                                    \
        at += matrix->index[k] * (block);                                                                             \
        for (int32_t i = 0; i < (block); i += (width)) add(values + i, value, at + i);                                \
      }                                                                                                               \
    }                                                                                                                 \
  }

#define AVX2 __attribute__((target("avx2")))
DEFINE_SPARSE(sparse_4, , __m128i, _mm_set1_epi32, 4, add_4, 4)
DEFINE_SPARSE(sparse_8, , __m128i, _mm_set1_epi32, 4, add_4, 8)
DEFINE_SPARSE(sparse_16, , __m128i, _mm_set1_epi32, 4, add_4, 16)
DEFINE_SPARSE(sparse_8_avx2, AVX2, __m256i, _mm256_set1_epi32, 8, add_8, 8)
DEFINE_SPARSE(sparse_16_avx2, AVX2, __m256i, _mm256_set1_epi32, 8, add_8, 16)

/* Two rows side by side: eight pairs of weights times a pair of values. */
AVX2 static inline __m256i two_rows(const int8_t *a, const int8_t *b, __m256i values) {
  const __m128i pairs = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)a),
                                          _mm_loadl_epi64((const __m128i *)(const void *)b));
  return _mm256_madd_epi16(_mm256_cvtepi8_epi16(pairs), values);
}

/* A multiple of four accumulators. */
AVX2 static void add_four_rows(const int8_t *const row[4], const int32_t value[4], int32_t *acc, int32_t count) {
  const __m256i first = _mm256_set1_epi32((int32_t)((uint16_t)value[0] | (uint32_t)value[1] << 16));
  const __m256i second = _mm256_set1_epi32((int32_t)((uint16_t)value[2] | (uint32_t)value[3] << 16));
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256i *at = (__m256i *)(void *)(acc + i);
    const __m256i above = two_rows(row[0] + i, row[1] + i, first);
    const __m256i sum = _mm256_add_epi32(above, two_rows(row[2] + i, row[3] + i, second));
    _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), sum));
  }
  for (; i < count; ++i) {
    for (int32_t k = 0; k < 4; ++k) acc[i] += value[k] * row[k][i];
  }
}

#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX512 static inline __m512i two_rows_512(const int8_t *a, const int8_t *b, __m512i values) {
  const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
  const __m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
  const __m256i pairs = _mm256_set_m128i(_mm_unpackhi_epi8(x, y), _mm_unpacklo_epi8(x, y));
  return _mm512_madd_epi16(_mm512_cvtepi8_epi16(pairs), values);
}

AVX512 static void add_four_rows_512(const int8_t *const row[4], const int32_t value[4], int32_t *acc, int32_t count) {
  const __m512i first = _mm512_set1_epi32((int32_t)((uint16_t)value[0] | (uint32_t)value[1] << 16));
  const __m512i second = _mm512_set1_epi32((int32_t)((uint16_t)value[2] | (uint32_t)value[3] << 16));
  int32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512i sum =
        _mm512_add_epi32(two_rows_512(row[0] + i, row[1] + i, first), two_rows_512(row[2] + i, row[3] + i, second));
    _mm512_storeu_si512(acc + i, _mm512_add_epi32(_mm512_loadu_si512(acc + i), sum));
  }
  const int8_t *const rest[4] = {row[0] + i, row[1] + i, row[2] + i, row[3] + i};
  add_four_rows(rest, value, acc + i, count - i);
}

AVX2 static void dense_avx2(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  void (*const add)(const int8_t *const *, const int32_t *, int32_t *, int32_t) =
      __builtin_cpu_supports("avx512bw") ? add_four_rows_512 : add_four_rows;
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  const uint32_t width = (uint32_t)(others + stride);
  while (event < end) {
    const int32_t rows = end - event < 4 ? (int32_t)(end - event) : 4;
    const int8_t *row[4], *last[4];
    int32_t value[4];
    for (int32_t k = 0; k < 4; ++k) {
      const int32_t is_there = k < rows;
      row[k] = (const int8_t *)matrix->values + width * event[is_there ? k : 0].source;
      value[k] = is_there ? event[k].value : 0;
      last[k] = row[k] + others;
    }
    add(row, value, acc, others);
    add(last, value, acc + matrix->slots.last * stride, stride);
    event += rows;
  }
}

void ksr_add_events_i8_x86(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  const int has_avx2 = __builtin_cpu_supports("avx2");
  if (!matrix->index) {
    (has_avx2 ? dense_avx2 : ksr_add_events_i8_portable)(matrix, event, end, acc);
  } else if (matrix->block == 4) {
    sparse_4(matrix, event, end, acc);
  } else if (matrix->block == 8) {
    (has_avx2 ? sparse_8_avx2 : sparse_8)(matrix, event, end, acc);
  } else {
    (has_avx2 ? sparse_16_avx2 : sparse_16)(matrix, event, end, acc);
  }
}

#endif /* KSR_X86 */
