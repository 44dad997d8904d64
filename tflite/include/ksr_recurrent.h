/* Common to the recurrent ops, which process a batch of B whole sequences, or a chunk of them. Words and inputs:
 * ksr_recurrent_words.h.
 *
 * The kernels visit only rows whose source is nonzero, and in them only stored blocks.
 *
 * A held value changes only if it differs from the new one by more than its threshold (the delta network, arXiv
 * 1612.05571): x^ = x if |x - x^'| > threshold, and x^' otherwise. The op keeps the sums x^ W and adds W (x^ - x^') to
 * them, so it visits only rows of sources that changed. In integers the first step also adds the biases, and sets the
 * word after the sums to 1; the sums equal recomputed ones bit for bit. In floats the sums exclude the biases and
 * accumulate rounding until a reset. They start at zero, like x^ (at its zero point), so these states must be cleared
 * together and must not be written in any other way. An int8 model compares counts of x.
 *
 * If x is held, h may be held as well: R reads h^, which is h' if |h' - h^'| > threshold, and h^' otherwise, and the
 * sums include h^ R. The comparison uses the stored values of the state h.
 *
 * Integers. The value of a source is its distance from its zero point, shifted left by its operand shift, so that x and
 * h add to the same accumulators. If outputs have scales of their own, each accumulator is multiplied once per step by
 * its factor in Q16, so that all accumulators of a slot have one scale. The high word of the product of an accumulator
 * and its slot's multiplier is an index into the slot's table (ksr_tables.h: Q6 for sigmoid, Q7 for tanh). In a GRU's
 * candidate, where the reset gate is applied in between, it is in Q(fraction) in the slot of x and in Q(fraction + 1)
 * in the slot of y. States are int16; the recurrence reads them as int8.
 *
 * int16 activations (with int8 weights): x, the output, held x, and the other states that are int8 otherwise are int16,
 * all with zero point 0, and the input threshold is uint16. x is shifted right by its operand shift, rounded to
 * nearest; if it is held, by at least 2 bits. The recurrence reads operand_bits, also if a state holds this value.
 * Tables are interpolated: an index has fraction - 7 additional bits. */
#ifndef KSR_RECURRENT_H_
#define KSR_RECURRENT_H_

#include "ksr_recurrent_words.h"

#endif /* KSR_RECURRENT_H_ */
