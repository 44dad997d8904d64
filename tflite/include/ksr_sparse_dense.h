/* KsrSparseDense: y = activation(x W + b) for each row of x, with W in blocks.
 *
 * Inputs                 int8 model           float32 model
 *   0 x                  int8 (.., I)         float32          rows of I values, any leading dimensions
 *   1-3 kernel           as in ksr_matrix.h, one slot
 *   4 bias               int32 (stride)       float32
 *   5 multiplier         int32 (stride)       absent           of each output, at least 0
 *   6 shift              uint8 (stride)       absent           of each output, 1 to 62
 * Output                 int8 (.., U)         float32
 *
 * Integers: sum over the sources of (x - zero point) * w, plus bias; then (sum * multiplier + 2^(shift - 1)) >> shift in
 * 64 bits, plus the output's zero point, clamped. */
#ifndef KSR_SPARSE_DENSE_H_
#define KSR_SPARSE_DENSE_H_

#include "ksr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The words, little-endian int32, of its custom options. */
typedef struct ksr_sparse_dense_options {
  int32_t version; /* 1 */
  int32_t units;
  int32_t block;      /* 4, 8 or 16 */
  int32_t activation; /* float32: 0 none, 1 ReLU, 2 ReLU6 */
  /* int8 models only, 0 in float32 models */
  int32_t x_zero_point;
  int32_t output_zero_point;
  int32_t output_min, output_max; /* with the activation */
} ksr_sparse_dense_options;

extern const ksr_op ksr_sparse_dense;

#ifdef __cplusplus
}
#endif

#endif /* KSR_SPARSE_DENSE_H_ */
