/* Parameters of the gates of integer layers. */
#ifndef KSR_GATES_H_
#define KSR_GATES_H_

#include <stdint.h>

#include "ksr_activations.h"

/* (value * multiplier + 2^(shift - 1)) >> shift, multiplier below 2^15, shift 1 to 30. */
typedef struct ksr_rescaling {
  int32_t multiplier;
  int32_t shift;
} ksr_rescaling;

/* Cortex-M0, M0+ and M23 have no 64-bit product. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define KSR_SHORT_PRODUCT 1
#endif

/* A multiplier, 0 to 2^31 - 1 with at most 15 significant bits, as `factor` * 2^(16 - shift) with a factor below
 * 2^15. */
#ifdef KSR_SHORT_PRODUCT
typedef struct ksr_multiplier {
  int32_t factor, shift;
} ksr_multiplier;
#define KSR_MULTIPLIER(value, factor, shift) {factor, shift}
#else
typedef int32_t ksr_multiplier;
#define KSR_MULTIPLIER(value, factor, shift) value
#endif

typedef struct ksr_gates {
  ksr_multiplier multiplier[4]; /* of each slot */
  int32_t to_tanh;              /* bits of an index behind those of the table */
  ksr_rescaling operand, output; /* from a state to the recurrence's operand, and to the output */
  int32_t output_zero_point;
  ksr_activations activations;
} ksr_gates;

#endif /* KSR_GATES_H_ */
