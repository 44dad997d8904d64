#include "ksr_layers.h"
#include "scaled.h"

void ksr_dense_i16(const ksr_dense *dense, const int16_t *x, int32_t rows, int16_t *y) {
  const int32_t inputs = dense->kernel.sources;
  for (int32_t row = 0; row < rows; ++row, x += inputs) {
    const int8_t *weights = dense->kernel.values;
    for (int32_t i = 0; i < dense->outputs; ++i) {
      int64_t sum = dense->bias[i];
      for (int32_t j = 0; j < inputs; ++j) sum += x[j] * *weights++;
      const ksr_scaling scaling = dense->scaling[dense->scalings > 1 ? i : 0];
      *y++ = (int16_t)scaled(sum, scaling, 0, dense->low, dense->high);
    }
  }
}

void ksr_depthwise_i16(const ksr_dense *dense, int32_t multiplier, const int16_t *x, int16_t *y) {
  const int32_t inputs = dense->kernel.sources, channels = dense->outputs / multiplier;
  for (int32_t i = 0; i < dense->outputs; ++i) {
    const int16_t *value = x + i / multiplier;
    const int8_t *weight = (const int8_t *)dense->kernel.values + i;
    int64_t sum = dense->bias[i];
    for (int32_t j = 0; j < inputs; ++j, value += channels, weight += dense->outputs) sum += *value * *weight;
    y[i] = (int16_t)scaled(sum, dense->scaling[dense->scalings > 1 ? i : 0], 0, dense->low, dense->high);
  }
}

void ksr_matmul_i16(const ksr_matmul *matmul, const int16_t *a, const int16_t *b, int16_t *y) {
  for (int32_t n = 0; n < matmul->count; ++n, a += matmul->a_step, b += matmul->b_step) {
    for (int32_t i = 0; i < matmul->rows; ++i) {
      for (int32_t j = 0; j < matmul->columns; ++j) {
        const int16_t *left = a + i * matmul->a_row, *right = b + j * matmul->b_column;
        int64_t sum = 0;
        for (int32_t k = 0; k < matmul->inner; ++k, left += matmul->a_column, right += matmul->b_row) {
          sum += *left * *right;
        }
        *y++ = (int16_t)scaled(sum, matmul->scaling, 0, INT16_MIN, INT16_MAX);
      }
    }
  }
}

void ksr_scale_i16(ksr_scaling scaling, int32_t low, int32_t high, const int16_t *x, int32_t count, int16_t *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = (int16_t)scaled(x[i], scaling, 0, low, high);
}

/* exp(-|x|), Q30. */
static uint32_t exponential_of(const uint32_t *coarse, const uint32_t *fine, int32_t x) {
  const uint32_t magnitude = (uint32_t)(x < 0 ? -x : x);
  return (uint32_t)(((uint64_t)coarse[magnitude >> 8] * fine[magnitude & 255u]) >> 30);
}

/* A numerator over 1 + exponential, both in Q16 while they are divided, at the sign of x. */
static int32_t q15_of(uint32_t numerator, uint32_t exponential) {
  const uint32_t denominator = ((1u << 30) + exponential + (1u << 13)) >> 14;
  return (int32_t)(((numerator << 15) + (denominator >> 1)) / denominator);
}

static int16_t at_most_one(int32_t q15) { return (int16_t)(q15 > INT16_MAX ? INT16_MAX : q15); }

void ksr_logistic_i16(const uint32_t coarse[129], const uint32_t fine[256], const int16_t *x, int32_t count,
                      int16_t *y) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t above = q15_of(1u << 16, exponential_of(coarse, fine, x[i]));
    y[i] = at_most_one(x[i] < 0 ? (1 << 15) - above : above);
  }
}

void ksr_tanh_layer_i16(const uint32_t coarse[129], const uint32_t fine[256], const int16_t *x, int32_t count,
                        int16_t *y) {
  for (int32_t i = 0; i < count; ++i) {
    const uint32_t exponential = exponential_of(coarse, fine, x[i]);
    const int32_t magnitude = q15_of(((1u << 30) - exponential + (1u << 13)) >> 14, exponential);
    y[i] = at_most_one(x[i] < 0 ? -magnitude : magnitude);
  }
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
      *y++ = (int16_t)scaled(sum, scaling, 0, INT16_MIN, INT16_MAX);
    }
  }
}

void ksr_most_i16(const int16_t *x, int32_t outer, int32_t count, int32_t inner, int16_t *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      int16_t most = x[i];
      for (int32_t k = 1; k < count; ++k) most = x[k * inner + i] > most ? x[k * inner + i] : most;
      *y++ = most;
    }
  }
}
