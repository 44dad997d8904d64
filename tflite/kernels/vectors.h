/* Whole vectors at once. */
#ifndef KSR_VECTORS_H_
#define KSR_VECTORS_H_

#include <stdint.h>

#include "target.h"

/* A multiple of sixteen words. C libraries made for small size copy one after the other. */
void ksr_copy_words(int32_t *to, const int32_t *from, int32_t count);

/* Sets `count` values. */
void ksr_fill_i8(int8_t *to, int8_t value, int32_t count);

/* acc = (acc * scale) >> 16, of a multiple of four; scales at a word's begin. */
void ksr_scale_i32(int32_t *acc, const int16_t *scale, int32_t count);

#endif /* KSR_VECTORS_H_ */
