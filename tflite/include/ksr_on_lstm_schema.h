/* KsrOnLstm: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_ON_LSTM_SCHEMA_H_
#define KSR_ON_LSTM_SCHEMA_H_
/* Sources: on_lstm_schema.c */

#include "ksr_schema.h"

extern const ksr_schema ksr_on_lstm_schema;

#endif /* KSR_ON_LSTM_SCHEMA_H_ */
