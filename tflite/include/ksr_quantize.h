/* Conversions between int8 and int16, for models in plain C. */
#ifndef KSR_QUANTIZE_H_
#define KSR_QUANTIZE_H_
/* Sources: quantize.c */

#include "ksr_layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* int16 has the zero point 0. */
void ksr_quantize_i16_i8(ksr_scaling scaling, int32_t y_zero_point, const int16_t *x, int32_t count, int8_t *y);
void ksr_quantize_i8_i16(ksr_scaling scaling, int32_t x_zero_point, const int8_t *x, int32_t count, int16_t *y);

#ifdef __cplusplus
}
#endif

#endif /* KSR_QUANTIZE_H_ */
