/* KsrSparseDense: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_SPARSE_DENSE_SCHEMA_H_
#define KSR_SPARSE_DENSE_SCHEMA_H_
/* Sources: sparse_dense_schema.c */

#include "ksr_schema.h"

extern const ksr_schema ksr_sparse_dense_schema;

#endif /* KSR_SPARSE_DENSE_SCHEMA_H_ */
