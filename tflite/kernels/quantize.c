#include "ksr_quantize.h"

#include "scaled.h"

void ksr_quantize_i16_i8(ksr_scaling scaling, int32_t y_zero_point, const int16_t *x, int32_t count, int8_t *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = (int8_t)scaled(x[i], scaling, y_zero_point, INT8_MIN, INT8_MAX);
}

void ksr_quantize_i8_i16(ksr_scaling scaling, int32_t x_zero_point, const int8_t *x, int32_t count, int16_t *y) {
  for (int32_t i = 0; i < count; ++i) {
    y[i] = (int16_t)scaled(x[i] - x_zero_point, scaling, 0, INT16_MIN, INT16_MAX);
  }
}
