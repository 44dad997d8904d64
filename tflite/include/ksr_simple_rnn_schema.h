/* KsrSimpleRnn: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_SIMPLE_RNN_SCHEMA_H_
#define KSR_SIMPLE_RNN_SCHEMA_H_

#include "ksr_recurrent_schema.h"

/* The words of its custom options, little-endian int32. */
typedef struct ksr_simple_rnn_options {
  ksr_recurrent_options recurrent;
} ksr_simple_rnn_options;

/* Its own inputs. */
enum {
  KSR_SIMPLE_RNN_H = 8
};

enum { KSR_SIMPLE_RNN_SHARED_INPUTS = 9 }; /* the first that any recurrent op may have */

extern const ksr_schema ksr_simple_rnn_schema;

#endif /* KSR_SIMPLE_RNN_SCHEMA_H_ */
