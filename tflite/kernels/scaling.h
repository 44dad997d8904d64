/* From sums to the integers of a tensor. */
#ifndef KSR_SCALING_H_
#define KSR_SCALING_H_

#include <stdint.h>

/* value * multiplier / 2^shift, rounded to nearest, plus the zero point, from `low` to `high`; shift 1 to 62. */
static inline int32_t ksr_scaled(int32_t value, int32_t multiplier, int32_t shift, int32_t zero_point, int32_t low,
                                 int32_t high) {
  const int64_t product = (int64_t)value * multiplier;
  if (shift > 32) { /* as it mostly is; the upper half is enough, and the rest takes 32 bits */
    const int32_t twice = (int32_t)(product >> 32) >> (shift - 33), rounded = ((twice + 1) >> 1) + zero_point;
    return rounded < low ? low : rounded > high ? high : rounded;
  }
  const int64_t rounded = ((product + ((int64_t)1 << (shift - 1))) >> shift) + zero_point;
  return (int32_t)(rounded < low ? low : rounded > high ? high : rounded);
}

#endif /* KSR_SCALING_H_ */
