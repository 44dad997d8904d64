/* KsrSparseDense: y = activation(x W + b) for each row of x, with W in blocks.
 *
 * Words and inputs: ksr_sparse_dense_words.h.
 *
 * Integers: sum over the sources of (x - zero point) * w, plus bias; then (sum * multiplier + 2^(shift - 1)) >> shift
 * in 64 bits, plus the output's zero point, clamped. */
#ifndef KSR_SPARSE_DENSE_H_
#define KSR_SPARSE_DENSE_H_
/* Sources: sparse_dense_op.c */

#include "ksr_sparse_dense_words.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_sparse_dense;

#ifdef __cplusplus
}
#endif

#endif /* KSR_SPARSE_DENSE_H_ */
