/* What the recurrent ops have in common: over whole sequences, a batch of B, or a chunk of them. Words and inputs:
 * ksr_recurrent_words.h.
 *
 * Only rows whose source is non-zero are visited, and in them only stored blocks.
 *
 * A held value changes only where it differs from the new one by more than its threshold (the delta network, arXiv
 * 1612.05571): x^ = x where |x - x^'| > threshold, else x^'. The op keeps the sums of x^ W and adds W (x^ - x^') to
 * them: only rows of sources that changed are visited. In integers the first step adds the biases as well, and a 1
 * behind the sums says that they are in; the sums are bit for bit what x^ would give afresh. In floats they are
 * without the biases and gather rounding until a reset. They start at zero, as x^ does (at its zero point): the states
 * are to be cleared together, and are not to be written otherwise. An int8 model compares counts of x.
 *
 * Where x is held, h may be, too: R reads h^, which is h' where |h' - h^'| > threshold, else h^', and the sums hold h^
 * R as well. Compared are values of the state h as it is stored.
 *
 * Integers. A source's value is its distance from its zero point, shifted left by its operand shift, so that x and h
 * can add into the same accumulators. Where outputs have scales, each accumulator is multiplied by its own, in Q16,
 * once a step, so that all of a slot have one scale; where not, they have it from the start. The high word of an
 * accumulator's product with its slot's multiplier is an index into the slot's table (ksr_tables.h: Q6 for sigmoid, Q7
 * for tanh); in a GRU's candidate, where the reset gate comes between, it is in Q(fraction) in the slot of x and in
 * Q(fraction + 1) in the slot of y. States are int16; what the recurrence reads of them is int8.
 *
 * int16 activations (with int8 weights): x, the output, held x and the other states that are int8 otherwise are int16,
 * all with zero point 0, and the input threshold is uint16. x is shifted to the right by its operand shift, rounded to
 * nearest, where it is held by 2 bits at least; what the recurrence reads has operand_bits, also where a state holds
 * it. Tables are interpolated: an index has fraction - 7 more bits. */
#ifndef KSR_RECURRENT_H_
#define KSR_RECURRENT_H_

#include "ksr_recurrent_words.h"

#endif /* KSR_RECURRENT_H_ */
