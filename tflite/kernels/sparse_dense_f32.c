#include <string.h>

#include "ksr_sparse_dense_layer.h"

void ksr_sparse_dense_run_f32(const ksr_sparse_dense_layer *layer, const float *x, float *y, void *scratch) {
  float *acc = scratch;
  for (int32_t row = 0; row < layer->rows; ++row, x += layer->inputs, y += layer->units) {
    memcpy(acc, layer->bias, (uint32_t)layer->stride * sizeof(float));
    ksr_matrix_add_vector_f32(&layer->kernel, x, acc);
    for (int32_t i = 0; i < layer->units; ++i) {
      float value = acc[i];
      if (layer->activation > 0 && value < 0.0f) value = 0.0f;
      if (layer->activation == 2 && value > 6.0f) value = 6.0f;
      y[i] = value;
    }
  }
}
