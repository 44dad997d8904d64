/* Products with dense matrices for x86-64: a tile of weights at a time by one VPDPBUSD of AVX-512, or an output of it
 * by one VPMADDWD of AVX2, as the processor says when it runs. */
#include "multiply.h"

#ifdef KSR_X86

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

/* Both lists of sources have zeros behind them, up to a whole tile. */
typedef struct operands {
  int16_t wide[KSR_SOURCES_AT_ONCE]; /* of AVX2 */
  int8_t narrow[KSR_SOURCES_AT_ONCE]; /* of AVX-512 */
  int32_t sum; /* of the narrow ones */
} operands;

/* Of sixteen weights. */
AVX2 static inline __m256i weights_of(const uint8_t *at) {
  const __m128i even = _mm_set1_epi16(0x80); /* those of even sources are 128 too large: a flipped bit */
  return _mm256_cvtepi8_epi16(_mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)at), even));
}

/* The four sums of a group. */
AVX2 static __m128i group_avx2(const uint8_t *weights, const operands *x, int32_t sources) {
  __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
  const int16_t *at = x->wide;
  for (; sources >= 16; sources -= 16, at += 16, weights += 64) {
    const __m256i sixteen = _mm256_loadu_si256((const __m256i *)(const void *)at);
    for (int32_t k = 0; k < 4; ++k) {
      sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(weights_of(weights + 16 * k), sixteen));
    }
  }
  if (sources) { /* two outputs a vector */
    const __m256i eight = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)at));
    for (int32_t k = 0; k < 4; k += 2) {
      const __m256i both = _mm256_madd_epi16(weights_of(weights + 8 * k), eight);
      sum[k] = _mm256_add_epi32(sum[k], _mm256_zextsi128_si256(_mm256_castsi256_si128(both)));
      sum[k + 1] = _mm256_add_epi32(sum[k + 1], _mm256_zextsi128_si256(_mm256_extracti128_si256(both, 1)));
    }
  }
  const __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]), _mm256_hadd_epi32(sum[2], sum[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

/* Weights of even sources are unsigned already; here all are. */
VNNI static __m128i group_vnni(const uint8_t *weights, const operands *x, int32_t sources) {
  const __m512i odd = _mm512_set1_epi16((int16_t)0x8000);
  const int8_t *at = x->narrow;
  __m512i sum = _mm512_setzero_si512();
  for (; sources >= 16; sources -= 16, at += 16, weights += 64) {
    const __m512i sixteen = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)at));
    sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_loadu_si512(weights), odd), sixteen);
  }
  if (sources) {
    int64_t eight;
    memcpy(&eight, at, sizeof(eight));
    const __m256i tile = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)weights),
                                          _mm512_castsi512_si256(odd));
    const __m256i two = _mm256_dpbusd_epi32(_mm256_setzero_si256(), tile, _mm256_set1_epi64x(eight));
    /* Two words of each output into its four. */
    sum = _mm512_add_epi32(
        sum, _mm512_maskz_permutexvar_epi32(0x3333, _mm512_setr_epi32(0, 1, 0, 0, 2, 3, 0, 0, 4, 5, 0, 0, 6, 7, 0, 0),
                                            _mm512_castsi256_si512(two)));
  }
  sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC));
  sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
  const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i all = _mm512_castsi512_si128(_mm512_permutexvar_epi32(first, sum));
  return _mm_sub_epi32(all, _mm_set1_epi32(128 * x->sum));
}

#define DEFINE(name, attributes, group)                                                                               \
  attributes static void name(const ksr_part *part, const operands *x, int32_t shift, int32_t *acc) {                 \
    const __m128i by = _mm_cvtsi32_si128(shift);                                                                      \
    const uint8_t *weights = part->weights;                                                                           \
    for (int32_t row = 0; row < part->outputs; row += 4, weights += 4 * part->sources + part->skipped) {              \
      __m128i *at = (__m128i *)(void *)(acc + (row < part->others ? row : row - part->others + part->last));          \
      const __m128i sum = _mm_sll_epi32(group(weights, x, part->sources), by);                                        \
      _mm_storeu_si128(at, _mm_add_epi32(_mm_loadu_si128(at), sum));                                                  \
    }                                                                                                                 \
  }

DEFINE(add_avx2, AVX2, group_avx2)
DEFINE(add_vnni, VNNI, group_vnni)

void ksr_multiply_i8_x86(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                         int32_t *acc) {
  const int has_vnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl");
  if (!has_vnni && !__builtin_cpu_supports("avx2")) {
    ksr_multiply_i8_portable(matrix, x, first, count, shift, acc);
    return;
  }
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    operands given;
    if (has_vnni) {
      memset(given.narrow + now, 0, (uint32_t)(part.sources - now));
      memcpy(given.narrow, x + done, (uint32_t)now);
      given.sum = 0;
      for (int32_t i = 0; i < now; ++i) given.sum += x[done + i];
      add_vnni(&part, &given, shift, acc);
    } else {
      for (int32_t i = 0; i < part.sources; ++i) given.wide[i] = i < now ? x[done + i] : 0;
      add_avx2(&part, &given, shift, acc);
    }
  }
}

#if KSR_WITH_INT16
void ksr_multiply_i16_x86(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                          int32_t *acc) {
  if (!__builtin_cpu_supports("avx2")) {
    ksr_multiply_i16_portable(matrix, x, first, count, shift, acc);
    return;
  }
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    operands given;
    for (int32_t i = 0; i < part.sources; ++i) given.wide[i] = i < now ? x[done + i] : 0;
    add_avx2(&part, &given, shift, acc);
  }
}
#endif

#endif /* KSR_X86 */
