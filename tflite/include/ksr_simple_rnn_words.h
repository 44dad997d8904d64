/* KsrSimpleRnn: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_SIMPLE_RNN_WORDS_H_
#define KSR_SIMPLE_RNN_WORDS_H_

#include "ksr_recurrent_words.h"

/* Its own inputs. */
enum {
  KSR_SIMPLE_RNN_H = 8
};

enum { KSR_SIMPLE_RNN_SHARED_INPUTS = 9 }; /* the first that any recurrent op may have */

/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */
#define KSR_SIMPLE_RNN_KERNEL_SLOTS {1, 0}
#define KSR_SIMPLE_RNN_RECURRENT_KERNEL_SLOTS {1, 0}

#endif /* KSR_SIMPLE_RNN_WORDS_H_ */
