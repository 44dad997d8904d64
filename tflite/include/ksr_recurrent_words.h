/* Words and inputs that the recurrent ops share; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_RECURRENT_WORDS_H_
#define KSR_RECURRENT_WORDS_H_

#include "ksr_node.h"

/* The words that the custom options of each recurrent op begin with, little-endian int32. */
typedef struct ksr_recurrent_options {
  int32_t version;              /* 3 */
  int32_t format;               /* number format: 0 float32, 1 int8, 2 int8x16 */
  int32_t units;                /* U */
  int32_t block;                /* width of a block: 4, 8 or 16 */
  int32_t go_backwards;         /* 1: the last step comes first; 2: that, with each output where its input is */
  int32_t return_sequences;     /* 0: the last output only */
  int32_t activation;           /* of the candidate and of an LSTM's cell state */
  int32_t recurrent_activation; /* of the gates */
  int32_t weight_bits;          /* 4: two weights in a byte; 0: one */
  /* of the kernel 1: the kernel is stored by outputs where it is dense; 4 * k: its blocks are of 2^(k + 1)
   * sources and one output; of what reads the state likewise 2 and 16 * k */
  int32_t layout;
  int32_t zero_output_for_mask; /* 1: the output of a masked step is 0; 0: that of the step before, at the start 0 */
  int32_t initial_states;       /* 1: states that are given are those to begin with, and only read; 0: kept */
  int32_t state_bits;           /* states and candidates lie in [-2^state_bits, 2^state_bits) */
  int32_t gate_bits;            /* gates lie in [-2^gate_bits, 2^gate_bits) */
  int32_t x_zero_point;         /* zero point of x */
  int32_t x_shift;              /* operand shift of x; int8x16: to the right, and 2 at least where x is held */
  int32_t h_shift;              /* operand shift of what the recurrence reads; with operand_bits at most 15 */
  /* fractional bits of a GRU's candidate; with int16 activations of every tanh; with other activations of all */
  int32_t fraction;
  /* of slot 0: scale of its accumulators * 2^(bits + 32), of at most 15 significant bits */
  int32_t multiplier_0;
  /* of slot 1: scale of its accumulators * 2^(bits + 32), of at most 15 significant bits */
  int32_t multiplier_1;
  /* of slot 2: scale of its accumulators * 2^(bits + 32), of at most 15 significant bits */
  int32_t multiplier_2;
  /* of slot 3: scale of its accumulators * 2^(bits + 32), of at most 15 significant bits */
  int32_t multiplier_3;
  int32_t operand_multiplier;   /* from Q(15 - state_bits) to what the recurrence reads */
  int32_t operand_shift;        /* to the right, behind it */
  int32_t output_multiplier;    /* from Q(15 - state_bits) to the output tensor */
  int32_t output_shift;         /* to the right, behind it */
  int32_t output_zero_point;    /* zero point of the output */
  int32_t operand_bits;         /* what the recurrence reads is saturated to them */
} ksr_recurrent_options;

/* The inputs that each recurrent op begins with; its own follow. */
enum {
  KSR_X,
  KSR_KERNEL,
  KSR_KERNEL_INDEX,
  KSR_KERNEL_ROWS,
  KSR_RECURRENT_KERNEL,
  KSR_RECURRENT_KERNEL_INDEX,
  KSR_RECURRENT_KERNEL_ROWS,
  KSR_BIAS
};

enum { KSR_OWN_INPUTS = 8 };

/* Activations by their numbers. */
enum {
  KSR_ACTIVATION_LINEAR,
  KSR_ACTIVATION_RELU,
  KSR_ACTIVATION_RELU6,
  KSR_ACTIVATION_TANH,
  KSR_ACTIVATION_SIGMOID,
  KSR_ACTIVATION_LEAKY_RELU,
  KSR_ACTIVATION_HARD_SIGMOID,
  KSR_ACTIVATION_HARD_TANH,
  KSR_ACTIVATION_SOFTSIGN,
  KSR_ACTIVATION_ELU,
  KSR_ACTIVATION_SELU,
  KSR_ACTIVATION_SILU,
  KSR_ACTIVATION_GELU,
  KSR_ACTIVATION_EXPONENTIAL
};

/* Then the inputs that any may have, counted from the first of them. */
enum {
  KSR_OUTPUT_SCALES,
  KSR_INPUT_THRESHOLD,
  KSR_HIDDEN_THRESHOLD,
  KSR_HELD_X,
  KSR_SUMS,
  KSR_HELD_H,
  KSR_MASK,
  KSR_THRESHOLD_SCALE,
  KSR_RECURRENT_KERNEL_DIAGONAL,
  KSR_LAST_OUTPUT
};

#endif /* KSR_RECURRENT_WORDS_H_ */
