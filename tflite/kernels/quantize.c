#include "ksr_quantize.h"

static int32_t scaled(int32_t value, ksr_scaling by, int32_t zero_point, int32_t low, int32_t high) {
  const int64_t product = (int64_t)value * by.multiplier;
  const int64_t rounded = ((product + ((int64_t)1 << (by.shift - 1))) >> by.shift) + zero_point;
  return (int32_t)(rounded < low ? low : rounded > high ? high : rounded);
}

void ksr_quantize_i16_i8(ksr_scaling scaling, int32_t y_zero_point, const int16_t *x, int32_t count, int8_t *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = (int8_t)scaled(x[i], scaling, y_zero_point, INT8_MIN, INT8_MAX);
}

void ksr_quantize_i8_i16(ksr_scaling scaling, int32_t x_zero_point, const int8_t *x, int32_t count, int16_t *y) {
  for (int32_t i = 0; i < count; ++i) {
    y[i] = (int16_t)scaled(x[i] - x_zero_point, scaling, 0, INT16_MIN, INT16_MAX);
  }
}
