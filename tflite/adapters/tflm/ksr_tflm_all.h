/* All ops of keras-sparse-rnn for a TensorFlow Lite Micro tree, in one call. */
#ifndef KSR_TFLM_ALL_H_
#define KSR_TFLM_ALL_H_

#include "ksr_ops.h"
#include "ksr_tflm.h"

namespace ksr {

/* Adds every op, which takes KSR_OP_COUNT places in the resolver. */
template <class Resolver>
TfLiteStatus AddAllOps(Resolver& resolver) {
#define KSR_ADD(op) AddOp<&op>(resolver),
  const TfLiteStatus added[] = {KSR_OPS(KSR_ADD)};
#undef KSR_ADD
  for (TfLiteStatus status : added) {
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace ksr

#endif  // KSR_TFLM_ALL_H_
