/* Common to the recurrent layers, for C without an interpreter.
 *
 * A layer is a struct with numbers, constants and pointers to its input, output and states. Its functions process a
 * sequence of `steps` steps, or a chunk of one, and update the states. They check nothing: ksr_recurrent.h and the
 * header of the op define valid values. With static buffers, a layer is a constant. A model has int8 weights and
 * activations (`_i8`), int8 weights with int16 activations (`_i16`), or float32 (`_f32`). */
#ifndef KSR_RECURRENT_LAYER_H_
#define KSR_RECURRENT_LAYER_H_

#include "ksr_gates.h"
#include "ksr_matrix.h"

typedef struct ksr_recurrent {
  int32_t units, stride; /* stride: accumulators of a slot, padded to whole blocks */
  int32_t inputs, steps;
  int32_t is_integer; /* int8 weights */
  int32_t is_int16;   /* with int16 activations */
  int32_t x_zero_point, x_shift, h_shift, operand_bits;
  int32_t go_backwards, return_sequences;
  const void *x;
  void *output;
  const void *bias;
  ksr_matrix kernel, recurrent_kernel;
  const int16_t *output_scales; /* NULL: one scale per slot */
  const void *input_threshold;  /* NULL: x is not held */
  const void *hidden_threshold; /* NULL: h is not held */
  void *held_x, *held_h, *sums; /* states of held values */
} ksr_recurrent;

#endif /* KSR_RECURRENT_LAYER_H_ */
