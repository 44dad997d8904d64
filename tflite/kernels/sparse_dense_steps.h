/* A checked KsrSparseDense node. */
#ifndef KSR_SPARSE_DENSE_STEPS_H_
#define KSR_SPARSE_DENSE_STEPS_H_

#include "ksr_matrix.h"
#include "ksr_sparse_dense.h"

typedef struct ksr_sparse_dense_node {
  ksr_sparse_dense_options options;
  ksr_matrix kernel;
  int32_t is_int8, rows, inputs, stride;
  const void *bias;
  const int32_t *multiplier;
  const uint8_t *shift;
} ksr_sparse_dense_node;

#endif /* KSR_SPARSE_DENSE_STEPS_H_ */
