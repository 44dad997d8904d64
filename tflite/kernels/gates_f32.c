#include "gates_f32.h"

#include "exponential_f32.h"

KSR_INLINE void gru_units(const float *acc, int32_t stride, int32_t reset_after, float *h, int32_t units) {
  const float *z_acc = acc, *r_acc = z_acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  const float always = reset_after ? 0.0f : 1.0f;
  for (int32_t i = 0; i < units; ++i) {
    const float z = sigmoid(z_acc[i]), gate = sigmoid(r_acc[i]), r = always > gate ? always : gate;
    h[i] = z * h[i] + (1.0f - z) * hyperbolic_tangent(x_acc[i] + r * y_acc[i]);
  }
}

KSR_INLINE void light_gru_units(const float *acc, int32_t stride, float *h, int32_t units) {
  const float *g_acc = acc + 2 * stride;
  for (int32_t i = 0; i < units; ++i) {
    const float z = sigmoid(acc[i]);
    h[i] = z * h[i] + (1.0f - z) * hyperbolic_tangent(g_acc[i]);
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

KSR_CLONED(static void usual_gru_units, gru_units,
           (const float *acc, int32_t stride, int32_t reset_after, float *h, int32_t units),
           (acc, stride, reset_after, h, units))
KSR_CLONED(static void usual_light_gru_units, light_gru_units,
           (const float *acc, int32_t stride, float *h, int32_t units), (acc, stride, h, units))
KSR_CLONED(static void usual_lstm_units, lstm_units,
           (const float *acc, int32_t stride, float *c, float *h, int32_t units), (acc, stride, c, h, units))
KSR_CLONED(void ksr_sigmoids_f32, sigmoids, (const float *x, float *y, int32_t count), (x, y, count))
KSR_CLONED(void ksr_tanhs_f32, tanhs, (const float *x, float *y, int32_t count), (x, y, count))
KSR_CLONED(void ksr_exponentials_f32, exponentials, (const float *x, float *y, int32_t count), (x, y, count))

void ksr_gru_units_f32(const ksr_activations *activations, float *acc, int32_t stride, int32_t reset_gate, float *h,
                       int32_t units) {
  const int32_t reset_after = reset_gate == KSR_RESET_AFTER;
  if (!activations->activation) {
    if (reset_gate) {
      usual_gru_units(acc, stride, reset_after, h, units);
    } else {
      usual_light_gru_units(acc, stride, h, units);
    }
    return;
  }
  float *z = acc, *r = z + stride, *g = r + stride, *y = g + stride;
  const int32_t is_uncoupled = reset_gate == KSR_UNCOUPLED, shares = reset_gate == KSR_SHARED_PRODUCT;
  for (int32_t i = 0; shares && i < units; ++i) g[i] += z[i];
  activations->recurrent_activation(z, units, 0, 0);
  if (reset_after || is_uncoupled) activations->recurrent_activation(r, units, 0, 0);
  for (int32_t i = 0; reset_gate && !is_uncoupled && !shares && i < units; ++i) {
    g[i] += reset_after ? r[i] * y[i] : y[i];
  }
  activations->activation(g, units, 0, 0);
  const float q30 = 1.0f / (1 << 30), zeta = shares ? (float)activations->zeta * q30 : 1.0f;
  const float nu = shares ? (float)activations->nu * q30 : 0.0f;
  for (int32_t i = 0; i < units; ++i) {
    h[i] = z[i] * h[i] + (is_uncoupled ? r[i] : zeta * (1.0f - z[i]) + nu) * g[i];
  }
}

void ksr_lstm_units_f32(const ksr_activations *activations, float *acc, int32_t stride, float *c, float *h,
                        int32_t units) {
  if (!activations->activation) {
    usual_lstm_units(acc, stride, c, h, units);
    return;
  }
  float *in = acc, *forget = in + stride, *g = forget + stride, *out = g + stride;
  for (int32_t slot = 0; slot < 4; ++slot) {
    ksr_activation *function = slot == 2 ? activations->activation : activations->recurrent_activation;
    function(acc + slot * stride, units, 0, 0);
  }
  for (int32_t i = 0; i < units; ++i) h[i] = c[i] = forget[i] * c[i] + in[i] * g[i];
  activations->activation(h, units, 0, 0);
  for (int32_t i = 0; i < units; ++i) h[i] *= out[i];
}
