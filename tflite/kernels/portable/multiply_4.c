/* Products with dense matrices by outputs of weights of 4 bits. */
#include "multiply.h"

#if KSR_WITH_WEIGHTS_4

/* An output's products with eight sources: four bytes of weights. */
static inline int32_t eight_products(const uint8_t *weights, const int16_t *x) {
  const int32_t a = weights[0], b = weights[1], c = weights[2], d = weights[3];
  return x[0] * (a & 15) + x[1] * (a >> 4) + x[2] * (b & 15) + x[3] * ((int8_t)b >> 4) + x[4] * (c & 15) +
         x[5] * (c >> 4) + x[6] * (d & 15) + x[7] * ((int8_t)d >> 4);
}

static void add_products(const ksr_part *part, const int16_t *x, int32_t *acc) {
  const uint8_t *weights = part->weights;
  const int16_t *end = x + part->sources;
  int32_t unsigned_ones = 0; /* their weights are 8 too large */
  for (const int16_t *at = x; at < end; at += 4) unsigned_ones += at[0] + at[1] + at[2];
  for (int32_t row = 0; row < part->outputs; row += 4, weights += part->skipped) {
    int32_t *to = acc + (row < part->others ? row : row - part->others + part->last);
    int32_t sum[4] = {-8 * unsigned_ones, -8 * unsigned_ones, -8 * unsigned_ones, -8 * unsigned_ones};
    for (const int16_t *at = x; at < end; at += 8, weights += 16) {
      for (int32_t i = 0; i < 4; ++i) sum[i] += eight_products(weights + 4 * i, at);
    }
    for (int32_t i = 0; i < 4; ++i) to[i] += sum[i];
  }
}

void ksr_multiply_4_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                                int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}

#if KSR_WITH_INT16
void ksr_multiply_4_i16_portable(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                 int32_t shift, int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}
#endif

#endif /* KSR_WITH_WEIGHTS_4 */
