/* KsrFrameGate: a mask of the steps at which at least `count` inputs differ by more than their thresholds from x',
 * the input of the last computed step; at the start x' is 0.
 *
 * Recurrent ops skip the other steps (ksr_masked.h). Integers: counts of x. Words and inputs:
 * ksr_frame_gate_words.h. */
#ifndef KSR_FRAME_GATE_H_
#define KSR_FRAME_GATE_H_
/* Sources: frame_gate_op.c */

#include "ksr_frame_gate_words.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_frame_gate;

#ifdef __cplusplus
}
#endif

#endif /* KSR_FRAME_GATE_H_ */
