/* What makes a recurrent node unsound that its schema does not say. */
#ifndef KSR_KERNELS_RECURRENT_CHECK_H_
#define KSR_KERNELS_RECURRENT_CHECK_H_
/* Sources: recurrent_check.c */

#include <stddef.h>

#include "recurrent_node.h"

enum { KSR_LAYOUT_WORD = offsetof(ksr_recurrent_options, layout) / sizeof(int32_t) };

/* What a schema does not say of a node that is set up: that changes fit into 16 bits, that the matrix of inputs that
 * are held is stored by sources, and that no accumulator could overflow. `candidate` is a matrix that alone adds what
 * the state holds to slot number 3, or NULL. */
ksr_status ksr_recurrent_check(const ksr_recurrent *recurrent, const ksr_matrix *candidate);

/* A matrix, NULL for none, and the largest that a source's value can be. */
typedef struct ksr_term {
  const ksr_matrix *matrix;
  int64_t largest;
} ksr_term;

/* Of x, which a matrix reads, and of the state. */
int64_t ksr_largest_x(const ksr_recurrent *recurrent, const ksr_matrix *reads_x);
int64_t ksr_largest_h(const ksr_recurrent *recurrent);

/* Whether none of the sums `begin` to `end`, to which matrices add from `begin` on, could overflow int32. */
int32_t ksr_sums_fit(const int32_t *start, int32_t begin, int32_t end, ksr_term one, ksr_term other);

/* Whether no accumulator could overflow where the state alone is multiplied. */
int32_t ksr_recurrent_state_fits(const ksr_recurrent *recurrent);

#endif /* KSR_KERNELS_RECURRENT_CHECK_H_ */
