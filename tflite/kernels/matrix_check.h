/* Whether a matrix that a file holds is sound. */
#ifndef KSR_KERNELS_MATRIX_CHECK_H_
#define KSR_KERNELS_MATRIX_CHECK_H_
/* Sources: matrix_check.c */

#include "ksr_matrix.h"

/* Rows of a matrix in blocks: one for each source, or for as many as a block is high. */
static inline int32_t ksr_rows_of(const ksr_matrix *matrix) {
  return matrix->height > 1 ? (matrix->sources + matrix->height - 1) / matrix->height : matrix->sources;
}

/* Whether no row pointer and no block index leads past the values or past the last slot: 0, or 1 if an index does, 2
 * if a row pointer does. Call once, before any accumulation. */
int ksr_matrix_check(const ksr_matrix *matrix, int32_t block_count);

/* sums[i] += |weight| for every weight of column `first` + i, i below `count`. */
void ksr_matrix_add_magnitudes_i8(const ksr_matrix *matrix, int32_t first, int32_t count, uint32_t *sums);

#endif /* KSR_KERNELS_MATRIX_CHECK_H_ */
