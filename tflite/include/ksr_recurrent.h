/* What the recurrent ops have in common: over whole sequences, a batch of B, or a chunk of them.
 *
 * Inputs                 int8 model           float32 model
 *   0 x                  int8 (B, T, I)       float32       int16 too, see below
 *   1-3 kernel           int8 values, uint8 index, uint16 or uint32 rows (ksr_matrix.h); values float32
 *   4-6 recurrent kernel likewise
 *   7 bias               int32 (4 * stride)   float32     what the accumulators start from, slot by slot
 *   8 input threshold    uint8 (I)            float32     absent: x is not held
 *   9 output scales      int16 (4 * stride)   absent      absent: 1
 *   10- what each op has besides, and last its states: variable tensors, or absent and then zero at each start
 *       last of all, where x is held: held x, int8 (B, I) with the zero point of x; float32;
 *       and sums, int32 (B, 4 * stride + 1); float32 (B, 4 * stride)
 * Output                 int8 (B, T, U) or (B, U)   float32
 *
 * Only rows whose source is non-zero are visited, and in them only stored blocks.
 *
 * A held value changes only where it differs from the new one by more than its threshold (the delta network, arXiv
 * 1612.05571): x^ = x where |x - x^'| > threshold, else x^'. The op keeps the sums of x^ W and adds W (x^ - x^') to them:
 * only rows of sources that changed are visited. In integers the first step adds the biases as well, and a 1 behind the
 * sums says that they are in; the sums are bit for bit what x^ would give afresh. In floats they are without the biases
 * and gather rounding until a reset. They start at zero, as x^ does (at its zero point): the states are to be cleared
 * together, and are not to be written otherwise. An int8 model compares counts of x.
 *
 * Integers. A source's value is its distance from its zero point, shifted left by its operand shift, so that x and h
 * can add into the same accumulators. Where outputs have scales, each accumulator is multiplied by its own, in Q16, once
 * a step, so that all of a slot have one scale; where not, they have it from the start. The high word of an accumulator's product with its slot's multiplier is an index
 * into the slot's table (ksr_tables.h: Q6 for sigmoid, Q7 for tanh); in a GRU's candidate, where the reset gate comes
 * between, it is in Q(fraction) in the slot of x and in Q(fraction + 1) in the slot of y. States are int16; what the
 * recurrence reads of them is int8.
 *
 * int16 activations (with int8 weights): x, the output, held x and the other states that are int8 otherwise are int16,
 * all with zero point 0, and the input threshold is uint16. x is shifted to the right by its operand shift, rounded to
 * nearest, where it is held by 2 bits at least; what the recurrence reads has operand_bits, also where a state holds it.
 * Tables are interpolated: an index has fraction - 7 more bits. */
#ifndef KSR_RECURRENT_H_
#define KSR_RECURRENT_H_

#include "ksr.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KSR_OPTIONS_VERSION = 2 };

/* (value * multiplier + 2^(shift - 1)) >> shift, multiplier below 2^15, shift 1 to 30. */
typedef struct ksr_rescaling {
  int32_t multiplier;
  int32_t shift;
} ksr_rescaling;

/* The last step comes first; then also: outputs where their inputs are, for return_sequences alone. */
enum { KSR_BACKWARDS = 1, KSR_BACKWARDS_IN_ORDER = 2 };

/* The words, little-endian int32, that the custom options of each recurrent op begin with. */
typedef struct ksr_recurrent_options {
  int32_t version;
  int32_t units;
  int32_t block; /* 4, 8 or 16 */
  int32_t go_backwards;
  int32_t return_sequences;
  /* int8 models only, 0 in float32 models */
  int32_t x_zero_point;
  int32_t x_shift; /* operand shifts, 0 to 7 */
  int32_t h_shift; /* with int16 activations operand_bits + h_shift is at most 15 */
  int32_t fraction;        /* of a GRU's candidate, 7 to 10 bits; with int16 activations of every tanh, 7 to 15 bits */
  int32_t multiplier[4];   /* of each slot: scale of its accumulators * 2^(bits + 32), of at most 15 significant bits */
  ksr_rescaling operand;   /* from Q15 to what the recurrence reads */
  ksr_rescaling output;    /* from Q15 to the output tensor */
  int32_t output_zero_point;
  int32_t activation_bits; /* 8 or 16: of x and of the output */
  int32_t operand_bits;    /* 8, of events 2 to 8, with int16 activations 2 to 15: what the recurrence reads is saturated to them */
} ksr_recurrent_options;

#ifdef __cplusplus
}
#endif

#endif /* KSR_RECURRENT_H_ */
