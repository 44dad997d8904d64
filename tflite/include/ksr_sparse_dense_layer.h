/* A sparse dense layer, for C without an interpreter; see ksr_sparse_dense.h. It checks nothing. */
#ifndef KSR_SPARSE_DENSE_LAYER_H_
#define KSR_SPARSE_DENSE_LAYER_H_
/* Sources: sparse_dense_i8.c KSR_WITH_FLOAT32:sparse_dense_f32.c */

#include "ksr_matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksr_sparse_dense_layer {
  int32_t rows, inputs, units, stride; /* rows of x; stride: units padded to whole blocks */
  int32_t x_zero_point, output_zero_point, output_min, output_max; /* int8 */
  int32_t activation; /* float32: 0 none, 1 ReLU, 2 ReLU6 */
  ksr_matrix kernel;
  const void *bias;
  const int32_t *multiplier; /* int8 */
  const uint8_t *shift;
} ksr_sparse_dense_layer;

/* y = activation(x W + b). `scratch` holds `stride` accumulators of 4 bytes. */
void ksr_sparse_dense_run_i8(const ksr_sparse_dense_layer *layer, const int8_t *x, int8_t *y, void *scratch);
void ksr_sparse_dense_run_f32(const ksr_sparse_dense_layer *layer, const float *x, float *y, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_SPARSE_DENSE_LAYER_H_ */
