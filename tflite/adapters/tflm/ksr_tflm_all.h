/* All ops of keras-sparse-rnn for a TensorFlow Lite Micro tree, by one call. */
#ifndef KSR_TFLM_ALL_H_
#define KSR_TFLM_ALL_H_

#include "ksr_event_gru.h"
#include "ksr_gru.h"
#include "ksr_lstm.h"
#include "ksr_simple_rnn.h"
#include "ksr_sparse_dense.h"
#include "ksr_tflm.h"

namespace ksr {

/* Adds every op: five places in the resolver. */
template <class Resolver>
TfLiteStatus AddAllOps(Resolver& resolver) {
  const TfLiteStatus added[] = {AddOp<&ksr_event_gru>(resolver), AddOp<&ksr_gru>(resolver), AddOp<&ksr_lstm>(resolver),
                                AddOp<&ksr_simple_rnn>(resolver), AddOp<&ksr_sparse_dense>(resolver)};
  for (TfLiteStatus status : added) {
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace ksr

#endif  // KSR_TFLM_ALL_H_
