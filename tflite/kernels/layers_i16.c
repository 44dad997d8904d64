#include "ksr_layers.h"

static int16_t scaled(int64_t value, ksr_scaling by, int32_t low, int32_t high) {
  const int64_t rounded = (value * by.multiplier + ((int64_t)1 << (by.shift - 1))) >> by.shift;
  return (int16_t)(rounded < low ? low : rounded > high ? high : rounded);
}

void ksr_dense_i16(const ksr_dense *dense, const int16_t *x, int32_t rows, int16_t *y) {
  for (int32_t row = 0; row < rows; ++row, x += dense->inputs) {
    const int8_t *weights = dense->weights;
    for (int32_t i = 0; i < dense->outputs; ++i) {
      int64_t sum = dense->bias[i];
      for (int32_t j = 0; j < dense->inputs; ++j) sum += x[j] * *weights++;
      *y++ = scaled(sum, dense->scaling[dense->scalings > 1 ? i : 0], dense->low, dense->high);
    }
  }
}

void ksr_scale_i16(ksr_scaling scaling, int32_t low, int32_t high, const int16_t *x, int32_t count, int16_t *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = scaled(x[i], scaling, low, high);
}

void ksr_softmax_i16(const uint32_t coarse[256], const uint32_t fine[256], const int16_t *x, int32_t rows,
                     int32_t classes, int16_t *y) {
  for (int32_t row = 0; row < rows; ++row, x += classes, y += classes) {
    int32_t largest = x[0];
    for (int32_t i = 1; i < classes; ++i) largest = x[i] > largest ? x[i] : largest;
    uint64_t sum = 0;
    for (int32_t pass = 0; pass < 2; ++pass) {
      for (int32_t i = 0; i < classes; ++i) {
        const uint32_t below = (uint32_t)(largest - x[i]);
        const uint64_t exponential = ((uint64_t)coarse[below >> 8] * fine[below & 255u]) >> 30;
        if (pass == 0) {
          sum += exponential;
        } else {
          const uint64_t share = ((exponential << 16) + sum) / (2 * sum);
          y[i] = (int16_t)(share > INT16_MAX ? INT16_MAX : share);
        }
      }
    }
  }
}

void ksr_mean_i16(ksr_scaling scaling, const int16_t *x, int32_t outer, int32_t count, int32_t inner, int16_t *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      int64_t sum = 0;
      for (int32_t k = 0; k < count; ++k) sum += x[k * inner + i];
      *y++ = scaled(sum, scaling, INT16_MIN, INT16_MAX);
    }
  }
}
