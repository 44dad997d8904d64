#include "gates_f32.h"

#include <string.h>

#include "target.h"

#if defined(__FAST_MATH__) || defined(_M_FP_FAST)
#error "-ffast-math rounds sums away that the exponential function is made of: build without it."
#endif

/* No calls and no branches in these loops: a compiler does many units at once. */
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

KSR_INLINE void gru_units(const float *acc, int32_t stride, int32_t reset_after, float *h, int32_t units) {
  const float *z_acc = acc, *r_acc = z_acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  const float always = reset_after ? 0.0f : 1.0f;
  for (int32_t i = 0; i < units; ++i) {
    const float z = sigmoid(z_acc[i]), gate = sigmoid(r_acc[i]), r = always > gate ? always : gate;
    h[i] = z * h[i] + (1.0f - z) * hyperbolic_tangent(x_acc[i] + r * y_acc[i]);
  }
}

KSR_INLINE void lstm_units(const float *acc, int32_t stride, float *c, float *h, int32_t units) {
  const float *i_acc = acc, *f_acc = i_acc + stride, *c_acc = f_acc + stride, *o_acc = c_acc + stride;
  for (int32_t i = 0; i < units; ++i) {
    c[i] = sigmoid(f_acc[i]) * c[i] + sigmoid(i_acc[i]) * hyperbolic_tangent(c_acc[i]);
    h[i] = sigmoid(o_acc[i]) * hyperbolic_tangent(c[i]);
  }
}

KSR_INLINE void sigmoids(const float *x, float *y, int32_t count) {
  for (int32_t i = 0; i < count; ++i) y[i] = sigmoid(x[i]);
}

KSR_INLINE void tanhs(const float *x, float *y, int32_t count) {
  for (int32_t i = 0; i < count; ++i) y[i] = hyperbolic_tangent(x[i]);
}

KSR_INLINE void exponentials(const float *x, float *y, int32_t count) {
  for (int32_t i = 0; i < count; ++i) y[i] = exp_f32(x[i]);
}

KSR_CLONED(void ksr_gru_units_f32, gru_units,
           (const float *acc, int32_t stride, int32_t reset_after, float *h, int32_t units),
           (acc, stride, reset_after, h, units))
KSR_CLONED(void ksr_lstm_units_f32, lstm_units, (const float *acc, int32_t stride, float *c, float *h, int32_t units),
           (acc, stride, c, h, units))
KSR_CLONED(void ksr_sigmoids_f32, sigmoids, (const float *x, float *y, int32_t count), (x, y, count))
KSR_CLONED(void ksr_tanhs_f32, tanhs, (const float *x, float *y, int32_t count), (x, y, count))
KSR_CLONED(void ksr_exponentials_f32, exponentials, (const float *x, float *y, int32_t count), (x, y, count))
