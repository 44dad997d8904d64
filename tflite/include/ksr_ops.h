/* All ops of the library; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_OPS_H_
#define KSR_OPS_H_

#include "ksr_event_gru.h"
#include "ksr_gru.h"
#include "ksr_lstm.h"
#include "ksr_on_lstm.h"
#include "ksr_simple_rnn.h"
#include "ksr_sparse_dense.h"
#include "ksr_frame_gate.h"

#define KSR_OPS(X) \
  X(ksr_event_gru) \
  X(ksr_gru) \
  X(ksr_lstm) \
  X(ksr_on_lstm) \
  X(ksr_simple_rnn) \
  X(ksr_sparse_dense) \
  X(ksr_frame_gate)
#define KSR_OP_COUNT 7

#endif /* KSR_OPS_H_ */
