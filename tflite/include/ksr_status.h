/* What an op can find wrong with its node; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_STATUS_H_
#define KSR_STATUS_H_

#define KSR_STATUS_LIST(X) \
  X(KSR_OK, "ok") \
  X(KSR_OPTIONS_SIZE, "the custom options have the wrong size") \
  X(KSR_OTHER_VERSION, "the custom options are of another version of the format: convert the Keras model again") \
  X(KSR_WORD, "is out of its range") \
  X(KSR_NOT_BUILT, "needs kernels that were left out of this build") \
  X(KSR_INPUT_COUNT, "has too many inputs") \
  X(KSR_OUTPUT_COUNT, "must have one output, or one more for each state") \
  X(KSR_OUTPUT, "has an output of the wrong type or shape") \
  X(KSR_MISSING, "is missing") \
  X(KSR_UNEXPECTED, "must be absent") \
  X(KSR_TYPE, "has the wrong type") \
  X(KSR_NOT_CONSTANT, "must be constant") \
  X(KSR_CONSTANT, "must not be constant") \
  X(KSR_ALIGNMENT, "is not aligned to 4 bytes") \
  X(KSR_SHAPE, "has the wrong shape") \
  X(KSR_VALUES, "holds values out of their range") \
  X(KSR_OVERFLOW, "is too large for the weights: an accumulator could overflow")

#define KSR_IS_OF_WORD(status) (status == KSR_WORD)
#define KSR_IS_OF_INPUT(status) (status >= KSR_MISSING && status <= KSR_OVERFLOW)

#endif /* KSR_STATUS_H_ */
