#include "gates_f32.h"
#include "ksr_layers.h"

void ksr_dense_f32(const float *weights, const float *bias, int32_t inputs, int32_t outputs, float low, float high,
                   const float *x, int32_t rows, float *y) {
  for (int32_t row = 0; row < rows; ++row, x += inputs) {
    const float *weight = weights;
    for (int32_t i = 0; i < outputs; ++i) {
      float sum = bias ? bias[i] : 0.0f;
      for (int32_t j = 0; j < inputs; ++j) sum += x[j] * *weight++;
      *y++ = sum < low ? low : sum > high ? high : sum;
    }
  }
}

void ksr_depthwise_f32(const float *weights, const float *bias, int32_t inputs, int32_t outputs, float low, float high,
                       int32_t multiplier, const float *x, float *y) {
  for (int32_t i = 0; i < outputs; ++i) {
    const float *value = x + i / multiplier, *weight = weights + i;
    float sum = bias ? bias[i] : 0.0f;
    for (int32_t j = 0; j < inputs; ++j, value += outputs / multiplier, weight += outputs) sum += *value * *weight;
    y[i] = sum < low ? low : sum > high ? high : sum;
  }
}

void ksr_matmul_f32(const ksr_matmul *matmul, const float *a, const float *b, float *y) {
  for (int32_t n = 0; n < matmul->count; ++n, a += matmul->a_step, b += matmul->b_step) {
    for (int32_t i = 0; i < matmul->rows; ++i) {
      for (int32_t j = 0; j < matmul->columns; ++j) {
        const float *left = a + i * matmul->a_row, *right = b + j * matmul->b_column;
        float sum = 0.0f;
        for (int32_t k = 0; k < matmul->inner; ++k, left += matmul->a_column, right += matmul->b_row) {
          sum += *left * *right;
        }
        *y++ = sum;
      }
    }
  }
}

void ksr_clip_f32(float low, float high, const float *x, int32_t count, float *y) {
  for (int32_t i = 0; i < count; ++i) y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

void ksr_logistic_f32(const float *x, int32_t count, float *y) { ksr_sigmoids_f32(x, y, count); }

void ksr_tanh_f32(const float *x, int32_t count, float *y) { ksr_tanhs_f32(x, y, count); }

void ksr_softmax_f32(float beta, const float *x, int32_t rows, int32_t classes, float *y) {
  for (int32_t row = 0; row < rows; ++row, x += classes, y += classes) {
    float largest = x[0], sum = 0.0f;
    for (int32_t i = 1; i < classes; ++i) largest = x[i] > largest ? x[i] : largest;
    for (int32_t i = 0; i < classes; ++i) y[i] = (x[i] - largest) * beta;
    ksr_exponentials_f32(y, y, classes);
    for (int32_t i = 0; i < classes; ++i) sum += y[i];
    for (int32_t i = 0; i < classes; ++i) y[i] /= sum;
  }
}

void ksr_mean_f32(const float *x, int32_t outer, int32_t count, int32_t inner, float *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      float sum = 0.0f;
      for (int32_t k = 0; k < count; ++k) sum += x[k * inner + i];
      *y++ = sum / (float)count;
    }
  }
}

void ksr_sum_f32(const float *x, int32_t outer, int32_t count, int32_t inner, float *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      float sum = 0.0f;
      for (int32_t k = 0; k < count; ++k) sum += x[k * inner + i];
      *y++ = sum;
    }
  }
}

void ksr_most_f32(const float *x, int32_t outer, int32_t count, int32_t inner, float *y) {
  for (int32_t row = 0; row < outer; ++row, x += count * inner) {
    for (int32_t i = 0; i < inner; ++i) {
      float most = x[i];
      for (int32_t k = 1; k < count; ++k) most = x[k * inner + i] > most ? x[k * inner + i] : most;
      *y++ = most;
    }
  }
}
