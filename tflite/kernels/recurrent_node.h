/* A recurrent layer from a checked node. */
#ifndef KSR_KERNELS_RECURRENT_NODE_H_
#define KSR_KERNELS_RECURRENT_NODE_H_
/* Sources: recurrent_node.c */

#include "ksr_node.h"
#include "ksr_recurrent.h"
#include "recurrent.h"

/* Reads what a node says to all recurrent ops: `layer`, and in integers `gates`. The op's own words, `own_count` of them,
 * go to `own`; `shared` is the number of the first of the inputs that any recurrent op may have. */
void ksr_recurrent_set_up(ksr_recurrent *layer, ksr_gates *gates, const ksr_node *node, int32_t *own,
                          int32_t own_count, int32_t shared);

/* Then the matrix of which input number `i` holds the values. */
ksr_matrix ksr_recurrent_matrix(const ksr_recurrent *layer, const ksr_node *node, int32_t i, ksr_slots slots);

/* Once at the start of a sample: where its x and output lie, and the states of a held x; those that have no tensors are
 * put into scratch memory, cleared. */
void ksr_recurrent_begin(ksr_recurrent *layer, const ksr_node *node, int32_t sample, int32_t shared, void *scratch);

/* Where a sample's part of input number `i` lies; NULL where it is absent. */
void *ksr_state_of(const ksr_node *node, int32_t sample, int32_t i);

#endif /* KSR_KERNELS_RECURRENT_NODE_H_ */
