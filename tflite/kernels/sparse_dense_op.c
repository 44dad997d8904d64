#include "sparse_dense_steps.h"
#include "ksr_sparse_dense.h"
#include "ksr_sparse_dense_schema.h"

/* Whether no accumulator could overflow. */
static int biases_fit(const ksr_sparse_dense_node *dense) {
  const int64_t room = INT32_MAX - (int64_t)128 * 255 * dense->inputs;
  const int32_t *bias = dense->bias;
  for (int32_t i = 0; i < dense->stride; ++i) {
    if (bias[i] > room || bias[i] < -room) return 0;
  }
  return 1;
}

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  const ksr_sparse_dense_node *dense = data;
  const ksr_status status = ksr_check(&ksr_sparse_dense_schema, node);
  if (status != KSR_OK) return status;
  ksr_sparse_dense_set_up(node, data);
  *scratch_size = (uint32_t)dense->stride * (uint32_t)sizeof(int32_t);
  return dense->is_int8 && !biases_fit(dense) ? KSR_STATUS(KSR_OVERFLOW, KSR_SPARSE_DENSE_BIAS) : KSR_OK;
}

const ksr_op ksr_sparse_dense = {"KsrSparseDense", sizeof(ksr_sparse_dense_node), &ksr_sparse_dense_schema, prepare,
    ksr_sparse_dense_invoke};
