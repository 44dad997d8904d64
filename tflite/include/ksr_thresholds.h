/* Thresholds of held values, scaled at run time.
 *
 * Larger thresholds pass fewer changes: fewer instructions, and a larger error. The sums of a layer depend on the held
 * values only, not on the thresholds, so thresholds may change between any two steps. */
#ifndef KSR_THRESHOLDS_H_
#define KSR_THRESHOLDS_H_
/* Sources: thresholds.c */

#include <stdint.h>

#include "ksr_build.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KSR_THRESHOLD_ONE = 256 }; /* a scale of 1 in Q8 */

/* to = from * scale / 256 for `count` thresholds; counts are rounded down and saturated. */
void ksr_scale_thresholds_u8(const uint8_t *from, int32_t count, uint16_t scale, uint8_t *to);
void ksr_scale_thresholds_u16(const uint16_t *from, int32_t count, uint16_t scale, uint16_t *to);
void ksr_scale_thresholds_f32(const float *from, int32_t count, uint16_t scale, float *to);

#ifdef __cplusplus
}
#endif

#endif /* KSR_THRESHOLDS_H_ */
