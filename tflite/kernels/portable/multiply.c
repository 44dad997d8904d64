#include "multiply.h"

#ifndef KSR_THUMB /* which has bodies of its own */

/* A group's four sums of products; `sources` of them, padded to whole tiles. Returns the end of its weights. */
static const uint8_t *sums_of_group(const uint8_t *weights, const int16_t *x, int32_t sources, int32_t sums[4]) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (int32_t width; sources; sources -= width, weights += 3 * width) {
    width = sources < 16 ? 8 : 16;
    for (const uint8_t *end = weights + width; weights < end; weights += 2, x += 2) {
      const int32_t even = x[0], odd = x[1];
      const uint8_t *second = weights + width, *third = second + width, *fourth = third + width;
      a += even * weights[0] + odd * (int8_t)weights[1];
      b += even * second[0] + odd * (int8_t)second[1];
      c += even * third[0] + odd * (int8_t)third[1];
      d += even * fourth[0] + odd * (int8_t)fourth[1];
    }
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  return weights;
}

static void add_products(const ksr_part *part, const int16_t *x, int32_t *acc) {
  const uint8_t *weights = part->weights;
  int32_t even = 0; /* weights of even sources are 128 too large */
  for (int32_t j = 0; j < part->sources; j += 2) even += x[j];
  for (int32_t row = 0; row < part->outputs; row += 4) {
    int32_t sums[4], *at = acc + (row < part->others ? row : row - part->others + part->last);
    weights = sums_of_group(weights, x, part->sources, sums) + part->skipped;
    for (int32_t i = 0; i < 4; ++i) at[i] += sums[i] - 128 * even;
  }
}

void ksr_multiply_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                              int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}

#if KSR_WITH_INT16
void ksr_multiply_i16_portable(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                               int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}
#endif

#endif /* KSR_THUMB */
