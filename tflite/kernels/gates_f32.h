/* Gates in float32. */
#ifndef KSR_GATES_F32_H_
#define KSR_GATES_F32_H_

#include <math.h>

static inline float ksr_sigmoid_f32(float x) { return 1.0f / (1.0f + expf(-x)); }

/* z * before + (1 - z) * g, with g = tanh(x + r * y), of one unit. */
static inline float ksr_gru_unit_f32(float z, float r, float x, float y, float before) {
  const float g = tanhf(x + r * y);
  return z * before + (1.0f - z) * g;
}

#endif /* KSR_GATES_F32_H_ */
