#include "ksr_functions.h"

#include <string.h>

#include "exponential_f32.h"

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float ksr_exponential(float x) { return exp_f32(x); }

/* x = 2^n m, with m from sqrt(1/2) to sqrt(2); ln m = 2 atanh(s), s = (m - 1) / (m + 1). */
float ksr_logarithm(float x) {
  if (!(x > 0.0f)) return -float_of(0x7f800000u);
  const uint32_t bits = bits_of(x) - 0x3f3504f3u; /* of sqrt(1/2) */
  const float n = (float)((int32_t)bits >> 23), m = float_of((bits & 0x7fffffu) + 0x3f3504f3u);
  const float s = (m - 1.0f) / (m + 1.0f), z = s * s;
  return n * 0.693147181f + 2.0f * s * (1.0f + z * (0.333333333f + z * (0.2f + z * (0.142857143f + z * 0.111111111f))));
}

/* Newton's method, from the bits of x halved. */
float ksr_inverse_root(float x) {
  if (!(x > 0.0f)) return float_of(0x7f800000u);
  float y = float_of(0x5f3759dfu - (bits_of(x) >> 1));
  for (int32_t i = 0; i < 3; ++i) y = y * (1.5f - 0.5f * x * y * y);
  return y;
}

float ksr_square_root(float x) { return x > 0.0f ? x * ksr_inverse_root(x) : 0.0f; }

int32_t ksr_rounded(float x, int32_t low, int32_t high) {
  if (!(x > (float)low)) return low;
  return x < (float)high ? (int32_t)(x < 0.0f ? x - 0.5f : x + 0.5f) : high;
}
