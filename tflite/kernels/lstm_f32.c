#include <string.h>

#include "gates_f32.h"
#include "lstm_steps.h"

static void update(const ksr_lstm_node *lstm, const float *acc, float *h, float *c, float *output) {
  const int32_t stride = lstm->recurrent.stride;
  const float *i_acc = acc, *f_acc = i_acc + stride, *c_acc = f_acc + stride, *o_acc = c_acc + stride;
  for (int32_t u = 0; u < lstm->recurrent.options.units; ++u) {
    c[u] = ksr_sigmoid_f32(f_acc[u]) * c[u] + ksr_sigmoid_f32(i_acc[u]) * tanhf(c_acc[u]);
    h[u] = ksr_sigmoid_f32(o_acc[u]) * tanhf(c[u]);
    if (output) output[u] = h[u];
  }
}

void ksr_lstm_run_f32(const ksr_lstm_node *lstm, void *scratch) {
  const ksr_recurrent *r = &lstm->recurrent;
  const uint32_t state_size = (uint32_t)r->options.units * sizeof(float);
  float *acc = scratch;
  float *states = (float *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  float *h = lstm->h ? lstm->h : states;
  float *c = lstm->c ? lstm->c : states + r->options.units;
  if (!lstm->h) memset(h, 0, state_size);
  if (!lstm->c) memset(c, 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_f32(r, ksr_recurrent_input(r, step), acc);
    for (int32_t j = 0; j < r->options.units; ++j) {
      if (h[j] != 0.0f) ksr_matrix_add_f32(&r->recurrent_kernel, j, h[j], acc);
    }
    update(lstm, acc, h, c, ksr_recurrent_output(r, step));
  }
}
