/* What a step of a recurrent layer takes from the input and from the state. */
#ifndef KSR_KERNELS_RECURRENT_H_
#define KSR_KERNELS_RECURRENT_H_
/* Sources: recurrent.c */

#include <stddef.h>

#include "ksr_recurrent_layer.h"
#include "vectors.h"

enum { KSR_SLOTS = 4 };
enum { KSR_BACKWARDS_IN_ORDER = 2 }; /* go_backwards: outputs where their inputs are */

/* Bytes with which scratch memory begins: the accumulators. */
uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent);

/* Adds the biases to the sums, and sets the word behind them to 1. */
void ksr_recurrent_add_biases(const ksr_recurrent *recurrent);

/* Once at the start of an integer layer: where x is held, the biases belong to its sums. They are cleared without them;
 * then a 0 lies behind them. */
static inline void ksr_recurrent_start_sums(const ksr_recurrent *recurrent) {
  if (!KSR_WITH_HOLDS || !recurrent->input_threshold) return;
  if (!((const uint32_t *)recurrent->sums)[KSR_SLOTS * recurrent->stride]) ksr_recurrent_add_biases(recurrent);
}

/* acc = bias + x W; where x is held, the sums, after adding what changed to them. Integer sums are not copied if `acc`
 * is where they are. */
void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc);
void ksr_recurrent_start_i16(const ksr_recurrent *recurrent, const int16_t *x, int32_t *acc);
void ksr_recurrent_start_f32(const ksr_recurrent *recurrent, const float *x, float *acc);

/* A value of 16 bits as a matrix is multiplied with it: rounded to `shift` fewer bits and saturated to `bits`, times
 * 2^left. */
typedef struct ksr_operand {
  int32_t shift, bits, left;
} ksr_operand;

/* acc += x matrix, for a vector x of 16 bits of all sources. */
void ksr_add_vector_i16(const ksr_matrix *matrix, const int16_t *x, ksr_operand to, int32_t *acc);

/* acc = bias + x W + h R, for a state that holds what the recurrence reads; where that is held, the sums, after adding
 * what changed to them. */
void ksr_recurrent_accumulate_i8(const ksr_recurrent *recurrent, const int8_t *x, const int8_t *h, int32_t *acc);
void ksr_recurrent_accumulate_i16(const ksr_recurrent *recurrent, const int16_t *x, const int16_t *h, int32_t *acc);
void ksr_recurrent_accumulate_f32(const ksr_recurrent *recurrent, const float *x, const float *h, float *acc);

/* Takes over those of a matrix' sources that have changed, and adds what they changed by to the sums. */
void ksr_send_changes_f32(const ksr_matrix *matrix, const float *x, const float *threshold, float *held, float *sums);

/* Brings the accumulators of `slots` slots, from number `first`, to one scale a slot, where outputs have scales. */
static inline void ksr_recurrent_scale_outputs(const ksr_recurrent *recurrent, int32_t first, int32_t slots,
                                               int32_t *acc) {
  const int16_t *scale = recurrent->output_scales;
  const int32_t stride = recurrent->stride;
  if (scale) ksr_scale_i32(acc + first * stride, scale + first * stride, slots * stride);
}

/* What step number `step` reads and writes, in values of `width` bytes; no output (NULL) where the step is not asked
 * for. */
static inline const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step, size_t width) {
  const int32_t t = recurrent->go_backwards ? recurrent->steps - 1 - step : step;
  return (const uint8_t *)recurrent->x + (size_t)t * (size_t)recurrent->inputs * width;
}

static inline void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step, size_t width) {
  if (!recurrent->output) return 0;
  if (!recurrent->return_sequences) return step == recurrent->steps - 1 ? recurrent->output : 0;
  const int32_t place = recurrent->go_backwards == KSR_BACKWARDS_IN_ORDER ? recurrent->steps - 1 - step : step;
  return (uint8_t *)recurrent->output + (size_t)place * (size_t)recurrent->units * width;
}

/* Bytes of so many values of x or of the output. */
static inline size_t ksr_bytes_of(const ksr_recurrent *recurrent, size_t count) {
  return count * (recurrent->is_int16 ? 2 : recurrent->is_integer ? 1 : sizeof(float));
}

/* Values of the state `sums`. */
static inline int32_t ksr_sums_of(const ksr_recurrent *recurrent) {
  return KSR_SLOTS * recurrent->stride + (recurrent->is_integer ? 1 : 0);
}

/* Rounded up, so that what follows in scratch memory is aligned. */
static inline uint32_t ksr_aligned(uint32_t size) { return (size + 3u) & ~3u; }

#endif /* KSR_KERNELS_RECURRENT_H_ */
