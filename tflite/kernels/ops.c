#include <string.h>

#include "ksr.h"
#include "ksr_event_gru.h"
#include "ksr_gru.h"
#include "ksr_lstm.h"
#include "ksr_simple_rnn.h"
#include "ksr_sparse_dense.h"

const ksr_op *const ksr_ops[] = {&ksr_event_gru, &ksr_gru, &ksr_lstm, &ksr_simple_rnn, &ksr_sparse_dense, 0};

const ksr_op *ksr_find_op(const char *name) {
  for (const ksr_op *const *op = ksr_ops; *op; ++op) {
    if (strcmp((*op)->name, name) == 0) return *op;
  }
  return 0;
}
