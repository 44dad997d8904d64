/* Words and inputs that the recurrent ops share; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_RECURRENT_WORDS_H_
#define KSR_RECURRENT_WORDS_H_

#include "ksr_node.h"

/* The words that the custom options of each recurrent op begin with, little-endian int32. */
typedef struct ksr_recurrent_options {
  int32_t version;              /* 3 */
  int32_t format;               /* number format: 0 float32, 1 int8, 2 int8x16 */
  int32_t units;                /* number of units, U */
  int32_t block;                /* width of a block: 4, 8 or 16 */
  /* 1: from the last step to the first, with the outputs in this order; 2: with the outputs in the order of x */
  int32_t go_backwards;
  int32_t return_sequences;     /* 1: the outputs of all steps; 0: the last one only */
  int32_t activation;           /* activation of the candidate and of an LSTM's cell state */
  int32_t recurrent_activation; /* activation of the gates */
  int32_t weight_bits;          /* 4: two weights per byte; 0: one weight per element */
  /* 1: a dense kernel is stored by outputs; 4 * k: a kernel in blocks has blocks of 2^(k + 1) sources and one
   * output; 2 and 16 * k: likewise for the matrices that read the state */
  int32_t layout;
  /* 1: the output of a masked step is 0; 0: it is that of the previous step, at the start 0 */
  int32_t zero_output_for_mask;
  int32_t initial_states;       /* 1: given states are the initial ones, and only read; 0: they are kept */
  int32_t state_bits;           /* states and candidates lie in [-2^state_bits, 2^state_bits) */
  int32_t gate_bits;            /* gates lie in [-2^gate_bits, 2^gate_bits) */
  int32_t x_zero_point;         /* zero point of x */
  /* shift of x as an operand, to the left; int8x16: to the right, at least 2 if x is held */
  int32_t x_shift;
  /* shift to the left of the recurrence's operand; at most 15 together with operand_bits */
  int32_t h_shift;
  /* fractional bits of a GRU's candidate; int8x16: of every tanh; with other activations: of all gates */
  int32_t fraction;
  /* scale of the accumulators in slot 0 * 2^(bits + 32), with at most 15 significant bits */
  int32_t multiplier_0;
  /* scale of the accumulators in slot 1 * 2^(bits + 32), with at most 15 significant bits */
  int32_t multiplier_1;
  /* scale of the accumulators in slot 2 * 2^(bits + 32), with at most 15 significant bits */
  int32_t multiplier_2;
  /* scale of the accumulators in slot 3 * 2^(bits + 32), with at most 15 significant bits */
  int32_t multiplier_3;
  int32_t operand_multiplier;   /* multiplier from a state to the recurrence's operand */
  int32_t operand_shift;        /* shift to the right after operand_multiplier */
  int32_t output_multiplier;    /* multiplier from a state to the output */
  int32_t output_shift;         /* shift to the right after output_multiplier */
  int32_t output_zero_point;    /* zero point of the output */
  int32_t operand_bits;         /* bits to which the recurrence's operand saturates */
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
