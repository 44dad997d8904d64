/* KsrOnLstm: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_ON_LSTM_WORDS_H_
#define KSR_ON_LSTM_WORDS_H_

#include "ksr_recurrent_words.h"

/* The words of its custom options, behind those that it shares. */
typedef struct ksr_on_lstm_options {
  int32_t cell_bits;  /* c lies in [-2^cell_bits, 2^cell_bits) */
  int32_t chunk_size; /* units of each entry of a master gate; the last may have fewer */
} ksr_on_lstm_options;

/* Its own inputs. */
enum {
  KSR_ON_LSTM_H = 8,
  KSR_ON_LSTM_C
};

enum { KSR_ON_LSTM_SHARED_INPUTS = 10 }; /* the first that any recurrent op may have */

/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */
#define KSR_ON_LSTM_KERNEL_SLOTS {4, 3}
#define KSR_ON_LSTM_RECURRENT_KERNEL_SLOTS {4, 3}

#endif /* KSR_ON_LSTM_WORDS_H_ */
