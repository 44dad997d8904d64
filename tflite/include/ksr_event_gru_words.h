/* KsrEventGru: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_EVENT_GRU_WORDS_H_
#define KSR_EVENT_GRU_WORDS_H_

#include "ksr_recurrent_words.h"

/* The words of its custom options, behind those that it shares. */
typedef struct ksr_event_gru_options {
  int32_t readout;    /* output: 0 the events y, 1 the state c, 2 the trace */
  int32_t reset;      /* 1: an event subtracts the threshold from the state */
  int32_t trace_rate; /* 1 - decay of the trace, Q31 */
  int32_t reset_gate; /* 0: none, as in KsrGru; 1: after the product with R */
} ksr_event_gru_options;

/* Its own inputs. */
enum {
  KSR_EVENT_GRU_THRESHOLD = 8,
  KSR_EVENT_GRU_Y,
  KSR_EVENT_GRU_C,
  KSR_EVENT_GRU_TRACE
};

enum { KSR_EVENT_GRU_SHARED_INPUTS = 12 }; /* the first that any recurrent op may have */

/* For each gate of a matrix the slot of accumulators that it adds to; see ksr_matrix.h. */
#define KSR_EVENT_GRU_KERNEL_SLOTS {{2, 2}, {3, 2}}
#define KSR_EVENT_GRU_RECURRENT_KERNEL_SLOTS {{2, 2}, {3, 3}}

#endif /* KSR_EVENT_GRU_WORDS_H_ */
