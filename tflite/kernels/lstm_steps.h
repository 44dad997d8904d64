/* A checked KsrLstm node, and the loops over its time steps. */
#ifndef KSR_LSTM_STEPS_H_
#define KSR_LSTM_STEPS_H_
/* Sources: lstm_i8.c KSR_WITH_INT16:lstm_i16.c KSR_WITH_FLOAT32:lstm_f32.c */

#include "gates_i8.h"
#include "ksr_lstm.h"
#include "recurrent.h"

typedef struct ksr_lstm_node {
  ksr_recurrent recurrent;
  ksr_lstm_options options;
  ksr_gates gates; /* int8 models only */
  void *h, *c;     /* of an invocation; NULL: zero at its start, kept in scratch */
} ksr_lstm_node;

void ksr_lstm_run_i8(const ksr_lstm_node *lstm, void *scratch);
void ksr_lstm_run_i16(const ksr_lstm_node *lstm, void *scratch);
void ksr_lstm_run_f32(const ksr_lstm_node *lstm, void *scratch);

#endif /* KSR_LSTM_STEPS_H_ */
