#include <string.h>

#include "ksr_sparse_dense_layer.h"
#include "multiply.h"

void ksr_sparse_dense_run_i8(const ksr_sparse_dense_layer *layer, const int8_t *x, int8_t *y, void *scratch) {
  int32_t *acc = scratch;
  for (int32_t row = 0; row < layer->rows; ++row, x += layer->inputs, y += layer->units) {
    memcpy(acc, layer->bias, (uint32_t)layer->stride * sizeof(int32_t));
    ksr_multiply_all_i8(&layer->kernel, x, layer->x_zero_point, 0, acc);
    for (int32_t i = 0; i < layer->units; ++i) {
      const int64_t product = (int64_t)acc[i] * layer->multiplier[i] + ((int64_t)1 << (layer->shift[i] - 1));
      const int64_t value = (product >> layer->shift[i]) + layer->output_zero_point;
      y[i] = (int8_t)(value < layer->output_min ? layer->output_min : value > layer->output_max ? layer->output_max : value);
    }
  }
}
