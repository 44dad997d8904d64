/* int8 convolutions of models in plain C by CMSIS-NN: compile the models with KSR_CMSIS_NN=1 and with its headers, and
 * link it. CMSIS-NN gives the same bits if it is compiled with CMSIS_NN_USE_SINGLE_ROUNDING. */
#ifndef KSR_CMSIS_NN_H_
#define KSR_CMSIS_NN_H_

#ifndef KSR_CMSIS_NN
#define KSR_CMSIS_NN 0
#endif

#if KSR_CMSIS_NN
#include <arm_nnfunctions.h>

/* Bytes of memory that a depthwise convolution may need. */
#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#define KSR_CMSIS_NN_DEPTHWISE(taps, channels, outputs) ((4 * 124 + 64 + (outputs)) * (taps))
#else
#define KSR_CMSIS_NN_DEPTHWISE(taps, channels, outputs) (2 * (taps) * (channels))
#endif
#endif

#endif /* KSR_CMSIS_NN_H_ */
