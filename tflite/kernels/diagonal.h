/* The diagonal of a recurrent kernel, where it is stored apart from the blocks. */
#ifndef KSR_KERNELS_DIAGONAL_H_
#define KSR_KERNELS_DIAGONAL_H_
/* Sources: KSR_WITH_DIAGONAL:diagonal.c */

#include "ksr_matrix.h"

/* Adds what the events of units feed to these units themselves. */
void ksr_add_diagonal_i8(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);

/* Likewise for (x - zero_point) * factor of the units `first` to `first + count - 1`. */
void ksr_add_vector_diagonal_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                int32_t zero_point, int32_t factor, int32_t *acc);

#endif /* KSR_KERNELS_DIAGONAL_H_ */
