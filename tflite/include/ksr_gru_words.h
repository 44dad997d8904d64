/* KsrGru: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_GRU_WORDS_H_
#define KSR_GRU_WORDS_H_

#include "ksr_recurrent_words.h"

/* The words of its custom options, behind those that it shares. */
typedef struct ksr_gru_options {
  /* 0: none; 1: after the product with R; 2: before it; 3: a gate for the candidate's share in its place; 4:
   * none, with one product for gate and candidate, as in FastGRNN */
  int32_t reset_gate;
  int32_t deep;                /* number of micro-layers after the first in each step; 0 with a reset gate */
  int32_t zeta;                /* zeta of FastGRNN, Q30 */
  int32_t nu;                  /* nu of FastGRNN, Q30 */
  int32_t rank;                /* columns of input_factor_kernel: the kernel reads them in place of x; 0: it reads x */
  /* columns of recurrent_factor_kernel, which recurrent_kernel reads; 0: they are added to those of
   * input_factor_kernel, and there is no recurrent_kernel */
  int32_t recurrent_rank;
  int32_t middle_multiplier_0; /* from the sums of input_factor_kernel to the middle */
  /* from the sums of recurrent_factor_kernel, where it has a middle of its own, to the middle */
  int32_t middle_multiplier_1;
  int32_t middle_bits;         /* the middle is saturated to them */
  int32_t middle_shift;        /* shift to the left of the middle; at most 15 together with middle_bits */
} ksr_gru_options;

/* Its own inputs. */
enum {
  KSR_GRU_DEEP_KERNEL = 8,
  KSR_GRU_DEEP_KERNEL_INDEX,
  KSR_GRU_DEEP_KERNEL_ROWS,
  KSR_GRU_DEEP_BIAS,
  KSR_GRU_CANDIDATE_KERNEL,
  KSR_GRU_CANDIDATE_KERNEL_INDEX,
  KSR_GRU_CANDIDATE_KERNEL_ROWS,
  KSR_GRU_H,
  KSR_GRU_RESET_THRESHOLD,
  KSR_GRU_HELD_RESET,
  KSR_GRU_INPUT_FACTOR_KERNEL,
  KSR_GRU_INPUT_FACTOR_KERNEL_INDEX,
  KSR_GRU_INPUT_FACTOR_KERNEL_ROWS,
  KSR_GRU_RECURRENT_FACTOR_KERNEL,
  KSR_GRU_RECURRENT_FACTOR_KERNEL_INDEX,
  KSR_GRU_RECURRENT_FACTOR_KERNEL_ROWS,
  KSR_GRU_MIDDLE_START
};

enum { KSR_GRU_SHARED_INPUTS = 25 }; /* the first that any recurrent op may have */

/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */
#define KSR_GRU_KERNEL_SLOTS {{2, 2}, {3, 2}, {3, 2}, {3, 2}, {1, 0}}
#define KSR_GRU_RECURRENT_KERNEL_SLOTS {{2, 2}, {3, 3}, {2, 1}, {3, 2}, {1, 0}}
#define KSR_GRU_DEEP_KERNEL_SLOTS {{2, 2}, {2, 2}, {2, 2}, {3, 2}, {1, 0}}
#define KSR_GRU_CANDIDATE_KERNEL_SLOTS {1, 0}
#define KSR_GRU_INPUT_FACTOR_KERNEL_SLOTS {1, 0}
#define KSR_GRU_RECURRENT_FACTOR_KERNEL_SLOTS {1, 0}

#endif /* KSR_GRU_WORDS_H_ */
