/* KsrGru: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_GRU_SCHEMA_H_
#define KSR_GRU_SCHEMA_H_
/* Sources: gru_schema.c */

#include "ksr_schema.h"

extern const ksr_schema ksr_gru_schema;

#endif /* KSR_GRU_SCHEMA_H_ */
