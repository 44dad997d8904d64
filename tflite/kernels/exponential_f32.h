/* The exponential function and what is made of it, in float32: the same bits on each processor. */
#ifndef KSR_EXPONENTIAL_F32_H_
#define KSR_EXPONENTIAL_F32_H_

#include <stdint.h>
#include <string.h>

#include "target.h"

#if defined(__FAST_MATH__) || defined(_M_FP_FAST)
#error "-ffast-math rounds sums away that the exponential function is made of: build without it."
#endif

/* No calls and no branches in the loops of those who include this: a compiler does many units at once. */
#if defined(KSR_X86) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math")
#endif

/* e^x to about 1e-7 of itself, for |x| up to 87, beyond which it stays as it is there; NaN is NaN. x = n ln 2 + r, and
 * e^r by the polynomial of expf in Cephes (S. L. Moshier). */
KSR_INLINE float exp_f32(float x) {
  const float to_integer = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded, and stands in its last bits */
  const float below = x > 87.0f ? 87.0f : x, clipped = below < -87.0f ? -87.0f : below;
  const float shifted = clipped * 1.44269504f + to_integer, n = shifted - to_integer;
  const float r = clipped - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  uint32_t bits;
  float power;
  memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits + 127u) << 23;
  memcpy(&power, &bits, sizeof(power));
  return (p * r * r + r + 1.0f) * power;
}

KSR_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

KSR_INLINE float hyperbolic_tangent(float x) {
  const float e = exp_f32(2.0f * x);
  return (e - 1.0f) / (e + 1.0f);
}

#endif /* KSR_EXPONENTIAL_F32_H_ */
