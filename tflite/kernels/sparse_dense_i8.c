#include <string.h>

#include "ksr_sparse_dense_layer.h"
#include "multiply_any.h"
#include "scaling.h"

void ksr_sparse_dense_run_i8(const ksr_sparse_dense_layer *layer, const int8_t *x, int8_t *y, void *scratch) {
  const int32_t units = layer->units, zero_point = layer->output_zero_point;
  const int32_t low = layer->output_min, high = layer->output_max, *multiplier = layer->multiplier;
  const uint8_t *shift = layer->shift;
  int32_t *acc = scratch;
  for (int32_t row = 0; row < layer->rows; ++row, x += layer->inputs, y += units) {
    memcpy(acc, layer->bias, (uint32_t)layer->stride * sizeof(int32_t));
    ksr_multiply_all_i8(&layer->kernel, x, layer->x_zero_point, 0, acc);
    for (int32_t i = 0; i < units; ++i) {
      y[i] = (int8_t)ksr_scaled(acc[i], multiplier[i], shift[i], zero_point, low, high);
    }
  }
}
