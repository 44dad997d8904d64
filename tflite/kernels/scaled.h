/* Products with real factors, rounded to nearest. */
#ifndef KSR_SCALED_H_
#define KSR_SCALED_H_

#include "ksr_layers.h"

/* value * multiplier / 2^shift + zero point, from `low` to `high`. */
static inline int32_t scaled(int64_t value, ksr_scaling by, int32_t zero_point, int32_t low, int32_t high) {
  const int64_t rounded = ((value * by.multiplier + ((int64_t)1 << (by.shift - 1))) >> by.shift) + zero_point;
  return (int32_t)(rounded < low ? low : rounded > high ? high : rounded);
}

#endif /* KSR_SCALED_H_ */
