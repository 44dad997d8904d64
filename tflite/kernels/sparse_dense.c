#include "ksr_sparse_dense.h"

#include <string.h>

#include "add_events.h"
#include "ksr_node.h"
#include "sparse_dense_steps.h"

void ksr_sparse_dense_set_up(const ksr_node *node, void *data) {
  const ksr_slots slots = KSR_SPARSE_DENSE_KERNEL_SLOTS;
  ksr_sparse_dense_node *dense = data;
  const ksr_tensor *x = &node->inputs[KSR_SPARSE_DENSE_X];
  ksr_sparse_dense_options *o = &dense->options;
  ksr_read_words(node, 0, sizeof(*o) / sizeof(int32_t), &o->version);
  dense->is_int8 = o->format == KSR_INT8_FORMAT;
  dense->inputs = x->dims[x->rank - 1];
  dense->rows = 1;
  for (int32_t i = 0; i < x->rank - 1; ++i) dense->rows *= x->dims[i];
  dense->stride = (o->units + o->block - 1) / o->block * o->block;
  dense->kernel = ksr_matrix_of(node, KSR_SPARSE_DENSE_KERNEL, dense->inputs, o->block, dense->stride, slots);
  dense->bias = ksr_data_of(node, KSR_SPARSE_DENSE_BIAS);
  dense->multiplier = ksr_data_of(node, KSR_SPARSE_DENSE_MULTIPLIER);
  dense->shift = ksr_data_of(node, KSR_SPARSE_DENSE_SHIFT);
}

static void run_i8(const ksr_sparse_dense_node *dense, const int8_t *x, int8_t *output, int32_t *acc) {
  const ksr_sparse_dense_options *o = &dense->options;
  memcpy(acc, dense->bias, (uint32_t)dense->stride * sizeof(int32_t));
  ksr_add_vector_i8(&dense->kernel, x, o->x_zero_point, 1, acc);
  for (int32_t i = 0; i < o->units; ++i) {
    const int64_t product = (int64_t)acc[i] * dense->multiplier[i] + ((int64_t)1 << (dense->shift[i] - 1));
    const int64_t y = (product >> dense->shift[i]) + o->output_zero_point;
    output[i] = (int8_t)(y < o->output_min ? o->output_min : y > o->output_max ? o->output_max : y);
  }
}

#if KSR_WITH_FLOAT32
static void run_f32(const ksr_sparse_dense_node *dense, const float *x, float *output, float *acc) {
  const ksr_sparse_dense_options *o = &dense->options;
  memcpy(acc, dense->bias, (uint32_t)dense->stride * sizeof(float));
  ksr_matrix_add_vector_f32(&dense->kernel, x, acc);
  for (int32_t i = 0; i < o->units; ++i) {
    float y = acc[i];
    if (o->activation > 0 && y < 0.0f) y = 0.0f;
    if (o->activation == 2 && y > 6.0f) y = 6.0f;
    output[i] = y;
  }
}
#endif

void ksr_sparse_dense_invoke(const ksr_node *node, void *data, void *scratch) {
  const ksr_sparse_dense_node *dense = data;
  const void *x = node->inputs[KSR_SPARSE_DENSE_X].data;
  void *output = node->outputs[0].data;
  for (int32_t row = 0; row < dense->rows; ++row) {
    const int32_t from = row * dense->inputs, to = row * dense->options.units;
    if (dense->is_int8) run_i8(dense, (const int8_t *)x + from, (int8_t *)output + to, scratch);
#if KSR_WITH_FLOAT32
    if (!dense->is_int8) run_f32(dense, (const float *)x + from, (float *)output + to, scratch);
#endif
  }
}
