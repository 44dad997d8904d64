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

/* Whether no accumulator could overflow where the state alone is multiplied. */
int32_t ksr_recurrent_state_fits(const ksr_recurrent *recurrent);

#endif /* KSR_KERNELS_RECURRENT_CHECK_H_ */
