#include "ksr_layers.h"

#include <string.h>

#include "multiply.h"
#include "scaling.h"

static inline int8_t scaled(int32_t value, ksr_scaling by, int32_t zero_point, int32_t low, int32_t high) {
  return (int8_t)ksr_scaled(value, by.multiplier, by.shift, zero_point, low, high);
}

void ksr_dense_i8(const ksr_dense *dense, const int8_t *x, int32_t rows, int8_t *y) {
  const int32_t inputs = dense->kernel.sources, outputs = dense->outputs, stride = dense->kernel.stride;
  const int32_t zero_point = dense->zero_point, low = dense->low, high = dense->high, step = dense->scalings > 1;
  int32_t *sums = dense->sums;
  for (; rows > 0; --rows, x += inputs, y += outputs) {
    const ksr_scaling *by = dense->scaling;
    memcpy(sums, dense->bias, (uint32_t)stride * sizeof(int32_t));
    ksr_multiply_i8(&dense->kernel, x, 0, inputs, 0, sums);
    for (int32_t i = 0; i < outputs; ++i, by += step) y[i] = scaled(sums[i], *by, zero_point, low, high);
  }
}

void ksr_depthwise_i8(const ksr_dense *dense, int32_t multiplier, const int8_t *x, int8_t *y) {
  const int32_t channels = dense->outputs / multiplier;
  for (int32_t i = 0; i < dense->outputs; ++i) {
    const int8_t *value = x + i / multiplier, *weight = (const int8_t *)dense->kernel.values + i;
    int32_t sum = dense->bias[i];
    for (int32_t j = 0; j < dense->kernel.sources; ++j, value += channels, weight += dense->outputs) {
      sum += *value * *weight;
    }
    const ksr_scaling scaling = dense->scaling[dense->scalings > 1 ? i : 0];
    y[i] = scaled(sum, scaling, dense->zero_point, dense->low, dense->high);
  }
}

void ksr_matmul_i8(const ksr_matmul *matmul, const int8_t *a, const int8_t *b, int8_t *y) {
  for (int32_t n = 0; n < matmul->count; ++n, a += matmul->a_step, b += matmul->b_step) {
    for (int32_t i = 0; i < matmul->rows; ++i) {
      for (int32_t j = 0; j < matmul->columns; ++j) {
        const int8_t *left = a + i * matmul->a_row, *right = b + j * matmul->b_column;
        int32_t sum = 0;
        for (int32_t k = 0; k < matmul->inner; ++k, left += matmul->a_column, right += matmul->b_row) {
          sum += (*left - matmul->a_zero_point) * (*right - matmul->b_zero_point);
        }
        *y++ = scaled(sum, matmul->scaling, matmul->zero_point, INT8_MIN, INT8_MAX);
      }
    }
  }
}

void ksr_look_up_i8(const int8_t table[256], const int8_t *x, int32_t count, int8_t *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = table[128 + x[i]];
}

void ksr_softmax_i8(const uint32_t exponentials[256], const int8_t *x, int32_t rows, int32_t classes, int8_t *y) {
  for (int32_t row = 0; row < rows; ++row, x += classes, y += classes) {
    int32_t largest = x[0];
    for (int32_t i = 1; i < classes; ++i) largest = x[i] > largest ? x[i] : largest;
    uint64_t sum = 0;
    for (int32_t i = 0; i < classes; ++i) sum += exponentials[largest - x[i]];
    for (int32_t i = 0; i < classes; ++i) {
      const int32_t share = (int32_t)((((uint64_t)exponentials[largest - x[i]] << 9) + sum) / (2 * sum));
      y[i] = (int8_t)((share > 255 ? 255 : share) - 128);
    }
  }
}

void ksr_mean_i8(ksr_scaling scaling, int32_t x_zero_point, int32_t y_zero_point, const int8_t *x, int32_t outer,
                 int32_t count, int32_t inner, int8_t *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      int32_t sum = -count * x_zero_point;
      for (int32_t k = 0; k < count; ++k) sum += x[k * inner + i];
      *y++ = scaled(sum, scaling, y_zero_point, INT8_MIN, INT8_MAX);
    }
  }
}

void ksr_most_i8(const int8_t *x, int32_t outer, int32_t count, int32_t inner, int8_t *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      int8_t most = x[i];
      for (int32_t k = 1; k < count; ++k) most = x[k * inner + i] > most ? x[k * inner + i] : most;
      *y++ = most;
    }
  }
}
