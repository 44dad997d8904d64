/* Sums and products of two tensors, and concatenation, for models in plain C. */
#ifndef KSR_ELEMENTWISE_H_
#define KSR_ELEMENTWISE_H_
/* Sources: elementwise.c */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In integers: y = (a * A + b * B + 2^(shift - 1)) >> shift, or for products a * b * A. a, b and y are counted from
 * their zero points, and y is clamped to `low` and `high`, which includes a ReLU. The factors are below 2^30. */
typedef struct ksr_pair {
  int32_t a_factor, b_factor, shift;
  int32_t a_zero_point, b_zero_point, y_zero_point;
  int32_t low, high;
} ksr_pair;

/* b has `b_count` values, which are repeated; a's `count` is a multiple of it. */
void ksr_add_pair_i8(const ksr_pair *pair, const int8_t *a, int32_t count, const int8_t *b, int32_t b_count, int8_t *y);
void ksr_add_pair_i16(const ksr_pair *pair, const int16_t *a, int32_t count, const int16_t *b, int32_t b_count,
                      int16_t *y);
void ksr_multiply_pair_i8(const ksr_pair *pair, const int8_t *a, int32_t count, const int8_t *b, int32_t b_count,
                          int8_t *y);
void ksr_multiply_pair_i16(const ksr_pair *pair, const int16_t *a, int32_t count, const int16_t *b, int32_t b_count,
                           int16_t *y);
/* y = a + b_factor * b, clamped to `low` and `high`. */
void ksr_add_pair_f32(float b_factor, float low, float high, const float *a, int32_t count, const float *b,
                      int32_t b_count, float *y);
void ksr_multiply_pair_f32(float low, float high, const float *a, int32_t count, const float *b, int32_t b_count,
                           float *y);

/* Copies rows of `bytes` bytes into a tensor whose rows have `y_bytes` bytes. */
void ksr_put_beside(const void *x, int32_t rows, int32_t bytes, void *y, int32_t y_bytes);

/* Copies rows of `bytes` bytes from a table, given their numbers. A number outside the table takes the nearest row. */
void ksr_take_rows(const void *table, int32_t rows, int32_t bytes, const int32_t *numbers, int32_t count, void *y);

/* Whether all values along the middle one of three axes are true. */
void ksr_every(const uint8_t *x, int32_t outer, int32_t count, int32_t inner, uint8_t *y);

#ifdef __cplusplus
}
#endif

#endif /* KSR_ELEMENTWISE_H_ */
