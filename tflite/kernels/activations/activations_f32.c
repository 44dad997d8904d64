#include "exponential_f32.h"
#include "ksr_activations.h"

KSR_INLINE float maximum(float a, float b) { return a > b ? a : b; }
KSR_INLINE float minimum(float a, float b) { return a < b ? a : b; }

/* exp(x) - 1 for x <= 0. Near 0 by a series, which does not subtract two almost equal numbers. */
KSR_INLINE float fall(float x) {
  const float series = x + x * x * (0.5f + x * (1.0f / 6 + x * (1.0f / 24 + x * (1.0f / 120))));
  return x > -0.25f ? series : exp_f32(x) - 1.0f;
}

/* Phi(x), to about 1e-7: formula 7.1.26 of Abramowitz and Stegun for the error function. */
KSR_INLINE float normal(float x) {
  const float u = 0.70710678f * (x < 0.0f ? -x : x), t = 1.0f / (1.0f + 0.3275911f * u);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * exp_f32(-u * u);
  return x < 0.0f ? tail : 1.0f - tail;
}

/* Defines ksr_activate_NAME_f32, which computes `expression` for each x. */
#define DEFINE(name, expression)                                                                            \
  KSR_INLINE void activate_##name(void *values, int32_t count, int32_t more, int32_t bits) {                \
    float *value = values;                                                                                  \
    (void)more;                                                                                             \
    (void)bits;                                                                                             \
    for (int32_t i = 0; i < count; ++i) {                                                                   \
      const float x = value[i];                                                                             \
      value[i] = expression;                                                                                \
    }                                                                                                       \
  }                                                                                                         \
  KSR_CLONED(void ksr_activate_##name##_f32, activate_##name,                                               \
             (void *values, int32_t count, int32_t more, int32_t bits), (values, count, more, bits))

DEFINE(linear, x)
DEFINE(relu, maximum(x, 0.0f))
DEFINE(relu6, minimum(maximum(x, 0.0f), 6.0f))
DEFINE(leaky_relu, x < 0.0f ? 0.2f * x : x)
DEFINE(hard_sigmoid, minimum(maximum(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6))
DEFINE(hard_tanh, minimum(maximum(x, -1.0f), 1.0f))
DEFINE(softsign, x / (1.0f + (x < 0.0f ? -x : x)))
DEFINE(sigmoid, sigmoid(x))
DEFINE(tanh, hyperbolic_tangent(x))
DEFINE(elu, maximum(x, 0.0f) + fall(minimum(x, 0.0f)))
DEFINE(selu, 1.05070099f * (maximum(x, 0.0f) + 1.67326324f * fall(minimum(x, 0.0f))))
DEFINE(silu, x * sigmoid(x))
DEFINE(gelu, x * normal(x))
DEFINE(exponential, exp_f32(x))
