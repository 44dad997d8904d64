#include "ksr_elementwise.h"

#include <string.h>

static int32_t finished(const ksr_pair *pair, int64_t sum) {
  const int64_t rounded = ((sum + ((int64_t)1 << (pair->shift - 1))) >> pair->shift) + pair->y_zero_point;
  return (int32_t)(rounded < pair->low ? pair->low : rounded > pair->high ? pair->high : rounded);
}

static int32_t sum_of(const ksr_pair *pair, int32_t a, int32_t b) {
  return finished(pair, (int64_t)(a - pair->a_zero_point) * pair->a_factor +
                            (int64_t)(b - pair->b_zero_point) * pair->b_factor);
}

static int32_t product_of(const ksr_pair *pair, int32_t a, int32_t b) {
  return finished(pair, (int64_t)(a - pair->a_zero_point) * (b - pair->b_zero_point) * pair->a_factor);
}

#define FOR_EACH(type, function)                                                   \
  for (int32_t i = 0, k = 0; i < count; ++i, k = k + 1 == b_count ? 0 : k + 1) {   \
    y[i] = (type)function(pair, a[i], b[k]);                                       \
  }

void ksr_add_pair_i8(const ksr_pair *pair, const int8_t *a, int32_t count, const int8_t *b, int32_t b_count,
                     int8_t *y) {
  FOR_EACH(int8_t, sum_of)
}

void ksr_add_pair_i16(const ksr_pair *pair, const int16_t *a, int32_t count, const int16_t *b, int32_t b_count,
                      int16_t *y) {
  FOR_EACH(int16_t, sum_of)
}

void ksr_multiply_pair_i8(const ksr_pair *pair, const int8_t *a, int32_t count, const int8_t *b, int32_t b_count,
                          int8_t *y) {
  FOR_EACH(int8_t, product_of)
}

void ksr_multiply_pair_i16(const ksr_pair *pair, const int16_t *a, int32_t count, const int16_t *b, int32_t b_count,
                           int16_t *y) {
  FOR_EACH(int16_t, product_of)
}

static float within(float value, float low, float high) { return value < low ? low : value > high ? high : value; }

void ksr_add_pair_f32(float b_factor, float low, float high, const float *a, int32_t count, const float *b,
                      int32_t b_count, float *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = within(a[i] + b_factor * b[i % b_count], low, high);
}

void ksr_multiply_pair_f32(float low, float high, const float *a, int32_t count, const float *b, int32_t b_count,
                           float *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = within(a[i] * b[i % b_count], low, high);
}

void ksr_put_beside(const void *x, int32_t rows, int32_t bytes, void *y, int32_t y_bytes) {
  const uint8_t *from = x;
  uint8_t *to = y;
  for (int32_t row = 0; row < rows; ++row, from += bytes, to += y_bytes) memcpy(to, from, (size_t)bytes);
}

void ksr_take_rows(const void *table, int32_t rows, int32_t bytes, const int32_t *numbers, int32_t count, void *y) {
  uint8_t *to = y;
  for (int32_t i = 0; i < count; ++i, to += bytes) {
    const int32_t row = numbers[i] < 0 ? 0 : numbers[i] < rows ? numbers[i] : rows - 1;
    memcpy(to, (const uint8_t *)table + (size_t)row * (size_t)bytes, (size_t)bytes);
  }
}

void ksr_every(const uint8_t *x, int32_t outer, int32_t count, int32_t inner, uint8_t *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      uint8_t every = 1;
      for (int32_t k = 0; k < count; ++k) every = every && x[k * inner + i];
      *y++ = every;
    }
  }
}
