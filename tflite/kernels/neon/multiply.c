/* Products with dense matrices for arm64: sixteen by one SDOT, or by two SMULL, whose sums SADALP adds in pairs. */
#include "multiply.h"

#ifdef KSR_NEON

#include <arm_neon.h>

/* Of sixteen weights. */
static inline int8x16_t weights_of(const uint8_t *at) {
  /* Those of even sources are 128 too large: a flipped bit. */
  const uint8x16_t even = vreinterpretq_u8_u16(vdupq_n_u16(0x80));
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at), even));
}

static inline int32x4_t plus_8(int32x4_t sum, int8x8_t weights, int8x8_t x) {
  return vpadalq_s16(sum, vmull_s8(weights, x));
}

static inline int32x4_t plus_16(int32x4_t sum, int8x16_t weights, int8x16_t x) {
#ifdef __ARM_FEATURE_DOTPROD
  return vdotq_s32(sum, weights, x);
#else
  return plus_8(plus_8(sum, vget_low_s8(weights), vget_low_s8(x)), vget_high_s8(weights), vget_high_s8(x));
#endif
}

static inline int32x4_t sums_of(const int32x4_t sum[4]) {
  return vpaddq_s32(vpaddq_s32(sum[0], sum[1]), vpaddq_s32(sum[2], sum[3]));
}

/* The four sums of a group. */
static inline int32x4_t group_i8(const uint8_t *weights, const int8_t *x, int32_t sources) {
  int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  for (; sources >= 16; sources -= 16, x += 16, weights += 64) {
    const int8x16_t sixteen = vld1q_s8(x);
    for (int32_t k = 0; k < 4; ++k) sum[k] = plus_16(sum[k], weights_of(weights + 16 * k), sixteen);
  }
  if (sources) { /* two outputs a vector */
    const int8x8_t eight = vld1_s8(x);
    for (int32_t k = 0; k < 4; k += 2) {
      const int8x16_t two = weights_of(weights + 8 * k);
      sum[k] = plus_8(sum[k], vget_low_s8(two), eight);
      sum[k + 1] = plus_8(sum[k + 1], vget_high_s8(two), eight);
    }
  }
  return sums_of(sum);
}

static inline int32x4_t plus_8_wide(int32x4_t sum, int8x8_t weights, const int16_t *x) {
  const int16x8_t wide = vmovl_s8(weights), eight = vld1q_s16(x);
  sum = vmlal_s16(sum, vget_low_s16(wide), vget_low_s16(eight));
  return vmlal_s16(sum, vget_high_s16(wide), vget_high_s16(eight));
}

/* Likewise of int16. */
static inline int32x4_t group_i16(const uint8_t *weights, const int16_t *x, int32_t sources) {
  int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  for (; sources >= 16; sources -= 16, x += 16, weights += 64) {
    for (int32_t k = 0; k < 4; ++k) {
      const int8x16_t sixteen = weights_of(weights + 16 * k);
      sum[k] = plus_8_wide(plus_8_wide(sum[k], vget_low_s8(sixteen), x), vget_high_s8(sixteen), x + 8);
    }
  }
  if (sources) {
    for (int32_t k = 0; k < 4; k += 2) {
      const int8x16_t two = weights_of(weights + 8 * k);
      sum[k] = plus_8_wide(sum[k], vget_low_s8(two), x);
      sum[k + 1] = plus_8_wide(sum[k + 1], vget_high_s8(two), x);
    }
  }
  return sums_of(sum);
}

#define DEFINE(name, type, group)                                                                        \
  static void name(const ksr_part *part, const type *x, int32_t shift, int32_t *acc) {                   \
    const uint8_t *weights = part->weights;                                                              \
    for (int32_t row = 0; row < part->outputs; row += 4, weights += 4 * part->sources + part->skipped) { \
      int32_t *at = acc + (row < part->others ? row : row - part->others + part->last);                  \
      const int32x4_t sum = vshlq_s32(group(weights, x, part->sources), vdupq_n_s32(shift));             \
      vst1q_s32(at, vaddq_s32(vld1q_s32(at), sum));                                                      \
    }                                                                                                    \
  }

DEFINE(add_i8, int8_t, group_i8)

void ksr_multiply_i8_neon(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                          int32_t *acc) {
  KSR_MULTIPLY_PARTS(int8_t, 1, add_i8, shift, acc)
}

#if KSR_WITH_INT16
DEFINE(add_i16, int16_t, group_i16)

void ksr_multiply_i16_neon(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                           int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1, add_i16, shift, acc)
}
#endif

#endif /* KSR_NEON */
