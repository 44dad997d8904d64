#include "ksr_node.h"
#include "ksr_sparse_dense.h"
#include "ksr_sparse_dense_layer.h"
#include "ksr_sparse_dense_schema.h"

enum { WORDS = sizeof(ksr_sparse_dense_options) / sizeof(int32_t) };

typedef struct dense_data {
  ksr_sparse_dense_layer layer;
  int32_t is_int8;
} dense_data;

static void set_up(dense_data *dense, const ksr_node *node) {
  const ksr_slots slots = KSR_SPARSE_DENSE_KERNEL_SLOTS;
  const ksr_tensor *x = &node->inputs[KSR_SPARSE_DENSE_X];
  ksr_sparse_dense_layer *layer = &dense->layer;
  union {
    ksr_sparse_dense_options options;
    int32_t words[WORDS];
  } read;
  const ksr_sparse_dense_options *o = &read.options;
  ksr_read_words(node, 0, WORDS, read.words);
  dense->is_int8 = o->format == KSR_INT8_FORMAT;
  layer->rows = 1;
  for (int32_t i = 0; i < x->rank - 1; ++i) layer->rows *= x->dims[i];
  layer->inputs = x->dims[x->rank - 1];
  layer->units = o->units;
  layer->stride = (o->units + o->block - 1) / o->block * o->block;
  layer->x_zero_point = o->x_zero_point;
  layer->output_zero_point = o->output_zero_point;
  layer->output_min = o->output_min;
  layer->output_max = o->output_max;
  layer->activation = o->activation;
  layer->kernel = ksr_matrix_of(node, KSR_SPARSE_DENSE_KERNEL, layer->inputs, o->block, layer->stride, slots,
                                ksr_layout_of(o->layout, 0), o->weight_bits);
  layer->bias = ksr_data_of(node, KSR_SPARSE_DENSE_BIAS);
  layer->multiplier = ksr_data_of(node, KSR_SPARSE_DENSE_MULTIPLIER);
  layer->shift = ksr_data_of(node, KSR_SPARSE_DENSE_SHIFT);
}

/* Whether no accumulator can overflow. */
static int biases_fit(const ksr_sparse_dense_layer *layer) {
  const int64_t room = INT32_MAX - (int64_t)128 * (ksr_is_for_all(&layer->kernel) ? 128 : 255) * layer->inputs;
  const int32_t *bias = layer->bias;
  for (int32_t i = 0; i < layer->stride; ++i) {
    if (bias[i] > room || bias[i] < -room) return 0;
  }
  return 1;
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  dense_data *dense = data;
  const ksr_status status = ksr_check(&ksr_sparse_dense_schema, node);
  if (status != KSR_OK) return status;
  set_up(dense, node);
  *scratch_size = (uint32_t)dense->layer.stride * (uint32_t)sizeof(int32_t);
  return dense->is_int8 && !biases_fit(&dense->layer) ? KSR_STATUS(KSR_OVERFLOW, KSR_SPARSE_DENSE_BIAS) : KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  const dense_data *dense = data;
  const void *x = node->inputs[KSR_SPARSE_DENSE_X].data;
  void *y = node->outputs[0].data;
  if (dense->is_int8) ksr_sparse_dense_run_i8(&dense->layer, x, y, scratch);
#if KSR_WITH_FLOAT32
  if (!dense->is_int8) ksr_sparse_dense_run_f32(&dense->layer, x, y, scratch);
#endif
}

const ksr_op ksr_sparse_dense = {"KsrSparseDense", sizeof(dense_data), &ksr_sparse_dense_schema, prepare, invoke};
