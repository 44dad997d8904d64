/* KsrGru: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_GRU_SCHEMA_H_
#define KSR_GRU_SCHEMA_H_

#include "ksr_recurrent_schema.h"

/* The words of its custom options, little-endian int32. */
typedef struct ksr_gru_options {
  ksr_recurrent_options recurrent;
  int32_t reset_after;             /* 1: the reset gate comes after the product with R */
} ksr_gru_options;

/* Its own inputs. */
enum {
  KSR_GRU_CANDIDATE_KERNEL = 8,
  KSR_GRU_CANDIDATE_KERNEL_INDEX,
  KSR_GRU_CANDIDATE_KERNEL_ROWS,
  KSR_GRU_H
};

enum { KSR_GRU_SHARED_INPUTS = 12 }; /* the first that any recurrent op may have */

extern const ksr_schema ksr_gru_schema;

#endif /* KSR_GRU_SCHEMA_H_ */
