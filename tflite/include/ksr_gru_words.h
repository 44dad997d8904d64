/* KsrGru: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_GRU_WORDS_H_
#define KSR_GRU_WORDS_H_

#include "ksr_recurrent_words.h"

/* The words of its custom options, behind those that it shares. */
typedef struct ksr_gru_options {
  int32_t reset_after; /* 1: the reset gate comes after the product with R */
} ksr_gru_options;

/* Its own inputs. */
enum {
  KSR_GRU_CANDIDATE_KERNEL = 8,
  KSR_GRU_CANDIDATE_KERNEL_INDEX,
  KSR_GRU_CANDIDATE_KERNEL_ROWS,
  KSR_GRU_H
};

enum { KSR_GRU_SHARED_INPUTS = 12 }; /* the first that any recurrent op may have */

/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */
#define KSR_GRU_KERNEL_SLOTS {3, 2}
#define KSR_GRU_RECURRENT_KERNEL_SLOTS {3, 3}
#define KSR_GRU_RECURRENT_KERNEL_SLOTS_WITHOUT {2, 1}
#define KSR_GRU_CANDIDATE_KERNEL_SLOTS {1, 0}

#endif /* KSR_GRU_WORDS_H_ */
