/* KsrSparseDense: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_SPARSE_DENSE_WORDS_H_
#define KSR_SPARSE_DENSE_WORDS_H_

#include "ksr_node.h"

/* The words of its custom options, little-endian int32. */
typedef struct ksr_sparse_dense_options {
  int32_t version;           /* 3 */
  int32_t format;            /* number format: 0 float32, 1 int8 */
  int32_t units;             /* number of units, U */
  int32_t block;             /* width of a block: 4, 8 or 16 */
  int32_t activation;        /* 0 linear, 1 relu, 2 relu6; in integers, the range of the output includes it */
  int32_t weight_bits;       /* 4: two weights per byte; 0: one weight per element */
  /* 1: a dense kernel is stored by outputs; 4 * k: a kernel in blocks has blocks of 2^(k + 1) sources and one
   * output */
  int32_t layout;
  int32_t x_zero_point;      /* zero point of x */
  int32_t output_zero_point; /* zero point of the output */
  int32_t output_min;        /* smallest output, with the activation */
  int32_t output_max;        /* largest output, with the activation */
} ksr_sparse_dense_options;

/* Its inputs. */
enum {
  KSR_SPARSE_DENSE_X = 0,
  KSR_SPARSE_DENSE_KERNEL,
  KSR_SPARSE_DENSE_KERNEL_INDEX,
  KSR_SPARSE_DENSE_KERNEL_ROWS,
  KSR_SPARSE_DENSE_BIAS,
  KSR_SPARSE_DENSE_MULTIPLIER,
  KSR_SPARSE_DENSE_SHIFT
};

/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */
#define KSR_SPARSE_DENSE_KERNEL_SLOTS {1, 0}

#endif /* KSR_SPARSE_DENSE_WORDS_H_ */
