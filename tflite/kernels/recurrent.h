/* What the recurrent ops share: a checked node's tensors, and what a step takes from the input and from the state. */
#ifndef KSR_KERNELS_RECURRENT_H_
#define KSR_KERNELS_RECURRENT_H_

#include "ksr_matrix.h"
#include "ksr_recurrent.h"

enum { KSR_X, KSR_KERNEL, KSR_RECURRENT_KERNEL = 4, KSR_BIAS = 7, KSR_INPUT_THRESHOLD, KSR_OUTPUT_SCALES, KSR_OWN_INPUTS };
enum { KSR_SLOTS = 4 };

typedef struct ksr_recurrent {
  ksr_recurrent_options options;
  int32_t is_int8;      /* the weights */
  int32_t is_int16;     /* and the activations int16 */
  int32_t sends_events; /* what the recurrence reads may have fewer bits */
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

/* Reads a node's options, `size` bytes, and the shapes of its x and output. It must have at least `required` inputs and
 * at most `allowed`. On anything wrong the status names it. */
ksr_status ksr_recurrent_read(ksr_recurrent *recurrent, const ksr_node *node, void *options, uint32_t size,
                              int32_t required, int32_t allowed);

/* Then its weights, which add to the given slots. */
ksr_status ksr_recurrent_read_weights(ksr_recurrent *recurrent, const ksr_node *node, ksr_slots kernel,
                                      ksr_slots recurrent_kernel);

/* A matrix from the state, of which input number `i` holds the values. Returns 0 if it does not fit. */
int ksr_recurrent_read_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_slots slots,
                              ksr_matrix *matrix);

/* Whether input number `i` is absent or a state that fits; `type` is that in an int8 model. */
int ksr_recurrent_has_state(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_type type);

/* Likewise for a state of another size, also in an int8 model. */
int ksr_recurrent_has_sized_state(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_type type,
                                  int32_t size);

/* Then whether and how x is held; its states are input number `i` and the next one. */
ksr_status ksr_recurrent_read_hold(ksr_recurrent *recurrent, const ksr_node *node, int32_t i);

/* Whether slot number 3, to which `matrix` alone adds what the state holds, could not overflow. */
int ksr_recurrent_candidate_fits(const ksr_recurrent *recurrent, const ksr_matrix *matrix);

/* Whether the weights lead neither out of bounds nor to an overflow; once, while preparing. */
ksr_status ksr_recurrent_check(const ksr_recurrent *recurrent, const ksr_node *node);

/* What step number `step` reads and writes; no output (NULL) where the step is not asked for. */
const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step);
void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step);

/* Bytes with which scratch memory begins: accumulators, and the states of a held x in case they have no tensors. */
uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent);

/* Once at the start of a sample: where its x and output lie, and the states of a held x, inputs number `i` and the next
 * one; those that have no tensors are put into scratch memory, cleared. */
void ksr_recurrent_begin(ksr_recurrent *recurrent, const ksr_node *node, int32_t sample, int32_t i, void *scratch);

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

/* Sets `count` values. */
void ksr_fill_i8(int8_t *to, int8_t value, int32_t count);

/* `size` bytes of little-endian words, as the custom options hold them. */
void ksr_read_words(void *words, const uint8_t *little_endian, uint32_t size);

/* Whether an input is not given. */
int ksr_is_absent(const ksr_node *node, int32_t i);

int ksr_is_vector(const ksr_tensor *tensor, int32_t type, int32_t size);
int ksr_is_within(int32_t value, int32_t low, int32_t high);

static inline uint32_t ksr_accumulators_size(const ksr_recurrent *recurrent) {
  return (uint32_t)(KSR_SLOTS * recurrent->stride) * (uint32_t)sizeof(int32_t);
}

/* Rounded up, so that what follows in scratch memory is aligned. */
static inline uint32_t ksr_aligned(uint32_t size) { return (size + 3u) & ~3u; }

#endif /* KSR_KERNELS_RECURRENT_H_ */
