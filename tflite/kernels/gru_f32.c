#include <string.h>

#include "gates_f32.h"
#include "gru_steps.h"

static void add_state(const ksr_gru_node *gru, const float *h, float *acc) {
  for (int32_t j = 0; j < gru->recurrent.options.units; ++j) {
    if (h[j] != 0.0f) ksr_matrix_add_f32(&gru->recurrent.recurrent_kernel, j, h[j], acc);
  }
}

/* Takes over those of h that have changed, and adds what they changed by to the sums. */
static void send_state_changes(const ksr_gru_node *gru, const float *h, float *held) {
  const float *threshold = gru->hidden_threshold;
  for (int32_t j = 0; j < gru->recurrent.options.units; ++j) {
    const float change = h[j] - held[j];
    if (!(change > threshold[j] || -change > threshold[j])) continue;
    held[j] = h[j];
    ksr_matrix_add_f32(&gru->recurrent.recurrent_kernel, j, change, gru->recurrent.sums);
  }
}

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_node *gru, const float *h, float *acc) {
  const float *r_acc = acc + gru->recurrent.stride;
  float *y_acc = acc + 3 * gru->recurrent.stride;
  for (int32_t j = 0; j < gru->recurrent.options.units; ++j) {
    const float reset = ksr_sigmoid_f32(r_acc[j]) * h[j];
    if (reset != 0.0f) ksr_matrix_add_f32(&gru->candidate_kernel, j, reset, y_acc);
  }
}

static void update(const ksr_gru_node *gru, const float *acc, float *h, float *output) {
  const int32_t stride = gru->recurrent.stride;
  const float *z_acc = acc, *r_acc = z_acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  for (int32_t i = 0; i < gru->recurrent.options.units; ++i) {
    const float r = gru->options.reset_after ? ksr_sigmoid_f32(r_acc[i]) : 1.0f;
    h[i] = ksr_gru_unit_f32(ksr_sigmoid_f32(z_acc[i]), r, x_acc[i], y_acc[i], h[i]);
    if (output) output[i] = h[i];
  }
}

void ksr_gru_run_f32(const ksr_gru_node *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  float *acc = scratch;
  float *states = (float *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  float *h = gru->h ? gru->h : states, *held = gru->held_h ? gru->held_h : states + r->options.units;
  const uint32_t state_size = (uint32_t)r->options.units * sizeof(float);
  if (!gru->h) memset(h, 0, state_size);
  if (gru->hidden_threshold && !gru->held_h) memset(held, 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (gru->hidden_threshold) send_state_changes(gru, h, held);
    ksr_recurrent_start_f32(r, ksr_recurrent_input(r, step), acc);
    if (!gru->hidden_threshold) add_state(gru, h, acc);
    if (!gru->options.reset_after) add_reset_state(gru, h, acc);
    update(gru, acc, h, ksr_recurrent_output(r, step));
  }
}
