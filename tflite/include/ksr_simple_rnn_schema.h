/* KsrSimpleRnn: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_SIMPLE_RNN_SCHEMA_H_
#define KSR_SIMPLE_RNN_SCHEMA_H_
/* Sources: simple_rnn_schema.c */

#include "ksr_schema.h"

extern const ksr_schema ksr_simple_rnn_schema;

#endif /* KSR_SIMPLE_RNN_SCHEMA_H_ */
