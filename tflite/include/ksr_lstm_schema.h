/* KsrLstm: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_LSTM_SCHEMA_H_
#define KSR_LSTM_SCHEMA_H_
/* Sources: lstm_schema.c */

#include "ksr_schema.h"

extern const ksr_schema ksr_lstm_schema;

#endif /* KSR_LSTM_SCHEMA_H_ */
