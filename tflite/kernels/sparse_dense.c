#include "ksr_sparse_dense.h"

#include <string.h>

#include "recurrent.h"
#include "sparse_dense_steps.h"

enum { X, KERNEL, BIAS = 4, MULTIPLIER, SHIFT, INPUTS };
enum { MAX_SIZE = 65535 };

/* The number of rows of a tensor whose rows have `size` values; -1 if it has others. */
static int32_t rows_of(const ksr_tensor *tensor, int32_t size) {
  int32_t rows = 1;
  if (tensor->rank < 1 || tensor->dims[tensor->rank - 1] != size) return -1;
  for (int32_t i = 0; i < tensor->rank - 1; ++i) {
    if (!ksr_is_within(tensor->dims[i], 1, INT32_MAX / rows / size)) return -1;
    rows *= tensor->dims[i];
  }
  return rows;
}

static int options_are_valid(const ksr_sparse_dense_options *o, int32_t is_int8) {
  if (o->version != 1 || !ksr_is_within(o->units, 1, MAX_SIZE) || !ksr_is_within(o->activation, 0, 2)) return 0;
  if (o->block != 4 && o->block != 8 && o->block != 16) return 0;
  return !is_int8 || (ksr_is_within(o->x_zero_point, -128, 127) && ksr_is_within(o->output_zero_point, -128, 127) &&
                      ksr_is_within(o->output_min, -128, 127) && ksr_is_within(o->output_max, o->output_min, 127));
}

/* Fills `dense` from a node; on anything wrong the status names it. */
static ksr_status read_node(const ksr_node *node, ksr_sparse_dense_node *dense) {
  ksr_sparse_dense_options *o = &dense->options;
  if (node->options_size != sizeof(*o) || !node->options) return KSR_BAD_OPTIONS;
  if (node->input_count < BIAS + 1 || node->input_count > INPUTS) return KSR_BAD_INPUT_COUNT;
  if (node->output_count != 1) return KSR_BAD_OUTPUT_COUNT;
  const ksr_tensor *x = &node->inputs[X], *output = &node->outputs[0];
  if (x->type != KSR_INT8 && !(KSR_WITH_FLOAT32 && x->type == KSR_FLOAT32)) return KSR_BAD_TYPE;
  if (output->type != x->type) return KSR_BAD_TYPE;
  ksr_read_words(o, node->options, sizeof(*o));
  dense->is_int8 = x->type == KSR_INT8;
  if (!options_are_valid(o, dense->is_int8)) return KSR_BAD_OPTIONS;

  dense->inputs = x->rank > 0 ? x->dims[x->rank - 1] : 0;
  if (!ksr_is_within(dense->inputs, 1, MAX_SIZE)) return KSR_BAD_X;
  dense->rows = rows_of(x, dense->inputs);
  if (dense->rows < 1) return KSR_BAD_X;
  if (rows_of(output, o->units) != dense->rows) return KSR_BAD_OUTPUT;

  const ksr_slots slots = {1, 0};
  dense->stride = (o->units + o->block - 1) / o->block * o->block;
  if (!ksr_matrix_from_tensors(&dense->kernel, &node->inputs[KERNEL], dense->is_int8 ? KSR_INT8 : KSR_FLOAT32,
                               dense->inputs, o->block, dense->stride, slots)) {
    return KSR_BAD_KERNEL;
  }
  const ksr_tensor *bias = &node->inputs[BIAS];
  if (!ksr_is_vector(bias, dense->is_int8 ? KSR_INT32 : KSR_FLOAT32, dense->stride)) return KSR_BAD_BIAS;
  dense->bias = bias->data;
  if (!dense->is_int8) return node->input_count == BIAS + 1 ? KSR_OK : KSR_BAD_INPUT_COUNT;
  if (node->input_count != INPUTS) return KSR_BAD_INPUT_COUNT;
  if (!ksr_is_vector(&node->inputs[MULTIPLIER], KSR_INT32, dense->stride) ||
      !ksr_is_vector(&node->inputs[SHIFT], KSR_UINT8, dense->stride)) {
    return KSR_BAD_SCALES;
  }
  dense->multiplier = node->inputs[MULTIPLIER].data;
  dense->shift = node->inputs[SHIFT].data;
  return KSR_OK;
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  ksr_sparse_dense_node *dense = data;
  const ksr_status status = read_node(node, dense);
  if (status != KSR_OK) return status;
  if (!ksr_matrix_check(&dense->kernel, node->inputs[KERNEL].dims[0])) return KSR_BAD_KERNEL;
  if (dense->is_int8) {
    const int64_t bound = (int64_t)128 * 255 * dense->inputs;
    const int32_t *bias = dense->bias;
    for (int32_t i = 0; i < dense->stride; ++i) {
      if (bias[i] > INT32_MAX - bound || bias[i] < -INT32_MAX + bound) return KSR_BAD_BIAS;
      if (dense->multiplier[i] < 0 || !ksr_is_within(dense->shift[i], 1, 62)) return KSR_BAD_SCALES;
    }
  }
  *scratch_size = (uint32_t)dense->stride * (uint32_t)sizeof(int32_t);
  return KSR_OK;
}

static void run_i8(const ksr_sparse_dense_node *dense, const int8_t *x, int8_t *output, int32_t *acc) {
  const ksr_sparse_dense_options *o = &dense->options;
  memcpy(acc, dense->bias, (uint32_t)dense->stride * sizeof(int32_t));
  ksr_matrix_add_vector_i8(&dense->kernel, x, o->x_zero_point, 1, acc);
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

static void invoke(const ksr_node *node, void *data, void *scratch) {
  const ksr_sparse_dense_node *dense = data;
  const void *x = node->inputs[X].data;
  void *output = node->outputs[0].data;
  for (int32_t row = 0; row < dense->rows; ++row) {
    const int32_t from = row * dense->inputs, to = row * dense->options.units;
    if (dense->is_int8) run_i8(dense, (const int8_t *)x + from, (int8_t *)output + to, scratch);
#if KSR_WITH_FLOAT32
    if (!dense->is_int8) run_f32(dense, (const float *)x + from, (float *)output + to, scratch);
#endif
  }
}

const ksr_op ksr_sparse_dense = {"KsrSparseDense", sizeof(ksr_sparse_dense_node), prepare, invoke};
