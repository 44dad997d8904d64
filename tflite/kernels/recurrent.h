/* What the recurrent ops share: a checked node's tensors, and what a step takes from the input and from the state. */
#ifndef KSR_KERNELS_RECURRENT_H_
#define KSR_KERNELS_RECURRENT_H_
/* Sources: recurrent.c */

#include "ksr_matrix.h"
#include "ksr_node.h"
#include "ksr_recurrent.h"

enum { KSR_SLOTS = 4 };

typedef struct ksr_recurrent {
  ksr_recurrent_options options;
  int32_t is_int8;      /* the weights */
  int32_t is_int16;     /* and the activations int16 */
  int32_t shared; /* number of the first of the inputs that any recurrent op may have */
  int32_t samples; /* of the batch */
  int32_t steps, inputs, stride;
  ksr_matrix kernel, recurrent_kernel;
  const void *bias;
  const int16_t *output_scales; /* NULL: one scale a slot */
  const void *input_threshold; /* NULL: x is not held */
  /* of an invocation, of one sample */
  const void *x;
  void *output;
  void *held_x, *sums;
} ksr_recurrent;

/* Reads what a checked node says to all recurrent ops, but its matrices. The op's own words, `own_size` bytes of them, go
 * to `own`; `shared` is the number of the first of the inputs that any recurrent op may have. */
void ksr_recurrent_set_up(ksr_recurrent *recurrent, const ksr_node *node, int32_t *own, uint32_t own_size,
                          int32_t shared);

/* The matrix of which input number `i` holds the values. */
ksr_matrix ksr_recurrent_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_slots slots);

/* What step number `step` reads and writes; no output (NULL) where the step is not asked for. */
const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step);
void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step);

/* Bytes with which scratch memory begins: accumulators, and the states of a held x in case they have no tensors. */
uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent);

/* Once at the start of a sample: where its x and output lie, and the states of a held x; those that have no tensors are
 * put into scratch memory, cleared. */
void ksr_recurrent_begin(ksr_recurrent *recurrent, const ksr_node *node, int32_t sample, void *scratch);

/* Where a sample's part of input number `i` lies; NULL where it is absent. */
void *ksr_state_of(const ksr_node *node, int32_t sample, int32_t i);

/* acc = bias + x W; where x is held, the sums, after adding what changed to them. Integer sums are not copied if `acc` is
 * where they are. */
void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc);
void ksr_recurrent_start_i16(const ksr_recurrent *recurrent, const int16_t *x, int32_t *acc);
void ksr_recurrent_start_f32(const ksr_recurrent *recurrent, const float *x, float *acc);

/* acc += h R, for a state of int8 with zero point 0 */
void ksr_recurrent_add_i8(const ksr_recurrent *recurrent, const int8_t *h, int32_t *acc);
void ksr_recurrent_add_i16(const ksr_recurrent *recurrent, const int16_t *h, int32_t *acc);

/* Brings the accumulators of `slots` slots, from number `first`, to one scale a slot, where outputs have scales. */
void ksr_recurrent_scale_outputs(const ksr_recurrent *recurrent, int32_t first, int32_t slots, int32_t *acc);

static inline uint32_t ksr_accumulators_size(const ksr_recurrent *recurrent) {
  return (uint32_t)(KSR_SLOTS * recurrent->stride) * (uint32_t)sizeof(int32_t);
}

/* Rounded up, so that what follows in scratch memory is aligned. */
static inline uint32_t ksr_aligned(uint32_t size) { return (size + 3u) & ~3u; }

#endif /* KSR_KERNELS_RECURRENT_H_ */
