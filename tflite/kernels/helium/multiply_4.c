/* Products with dense matrices by outputs of weights of 4 bits for the M-profile vector extension: of 32 sources by two
 * VMLADAVA, one for the lower halves of bytes, one for the upper ones. */
#include "multiply.h"

#if defined(KSR_HELIUM) && KSR_WITH_WEIGHTS_4

#include <arm_mve.h>
#include <string.h>

enum { AT_ONCE = 32 };

/* Sources by the halves of bytes that hold their weights, with zeros up to a whole vector. */
typedef struct operands {
  int8_t lower[KSR_SOURCES_AT_ONCE / 2], upper[KSR_SOURCES_AT_ONCE / 2];
} operands;

/* `words`: an output's weights in four tiles, one after the other. */
static inline int32_t plus_products(int32_t sum, uint32x4_t words, int8x16_t lower, int8x16_t upper) {
  /* The weights with a sign, too, become 8 too large. */
  const uint8x16_t bytes = vreinterpretq_u8_u32(veorq_u32(words, vdupq_n_u32(0x80008000u)));
  sum = vmladavaq_s8(sum, vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))), lower);
  return vmladavaq_s8(sum, vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4)), upper);
}

/* Four outputs' products with 32 sources, or with those of fewer tiles; `load(output)` gives an output's words. */
#define ADD(load)                                                                             \
  const int8x16_t lower = vld1q_s8(x->lower + i / 2), upper = vld1q_s8(x->upper + i / 2);     \
  a = plus_products(a, load(0), lower, upper);                                                \
  b = plus_products(b, load(1), lower, upper);                                                \
  c = plus_products(c, load(2), lower, upper);                                                \
  d = plus_products(d, load(3), lower, upper)
#define WHOLE(output) vldrwq_gather_offset_u32((const uint32_t *)(const void *)(tile + 4 * (output)), places)
#define PART(output) vldrwq_gather_offset_z_u32((const uint32_t *)(const void *)(tile + 4 * (output)), places, tiles)

static void add_products(const ksr_part *part, const operands *x, int32_t start, int32_t shift, int32_t *acc) {
  const uint8_t *weights = part->weights;
  const int32_t bytes = 2 * part->sources + part->skipped; /* of a group */
  const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), 16); /* of the tiles */
  const mve_pred16_t tiles = vctp32q((uint32_t)(part->sources % AT_ONCE) / 8); /* the last ones */
  for (int32_t row = 0; row < part->outputs; row += 4, weights += bytes) {
    int32_t *at = acc + (row < part->others ? row : row - part->others + part->last);
    int32_t a = start, b = start, c = start, d = start;
    const uint8_t *tile = weights;
    int32_t i = 0;
    for (; i + AT_ONCE <= part->sources; i += AT_ONCE, tile += 2 * AT_ONCE) {
      ADD(WHOLE);
    }
    if (i < part->sources) {
      ADD(PART);
    }
    at[0] += a * (1 << shift);
    at[1] += b * (1 << shift);
    at[2] += c * (1 << shift);
    at[3] += d * (1 << shift);
  }
}

void ksr_multiply_4_i8_helium(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                              int32_t *acc) {
  operands given;
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    const int8_t *from = x + done;
    int32_t sum = 0;
    memset(&given, 0, sizeof(given));
    for (int32_t i = 0; i < now; ++i) {
      (i & 1 ? given.upper : given.lower)[i / 2] = from[i];
      sum += from[i];
    }
    add_products(&part, &given, -8 * sum, shift, acc);
  }
}

#endif /* KSR_HELIUM && KSR_WITH_WEIGHTS_4 */
