#include <string.h>

#include "gates_f32.h"
#include "ksr_gru_layer.h"
#include "recurrent.h"

/* Takes over those of h that have changed, and adds what they changed by to the sums. */
static void send_state_changes(const ksr_gru_layer *gru, const float *h, float *held) {
  const float *threshold = gru->hidden_threshold;
  for (int32_t j = 0; j < gru->recurrent.units; ++j) {
    const float change = h[j] - held[j];
    if (!(change > threshold[j] || -change > threshold[j])) continue;
    held[j] = h[j];
    ksr_matrix_add_f32(&gru->recurrent.recurrent_kernel, j, change, gru->recurrent.sums);
  }
}

/* Reset before the product: the candidate reads r * h, which takes the place of r's accumulators. */
static void add_reset_state(const ksr_gru_layer *gru, const float *h, float *acc) {
  float *r = acc + gru->recurrent.stride, *y_acc = acc + 3 * gru->recurrent.stride;
  if (gru->gates.activations.recurrent_activation) {
    gru->gates.activations.recurrent_activation(r, gru->recurrent.units, 0, 0);
  } else {
    ksr_sigmoids_f32(r, r, gru->recurrent.units);
  }
  for (int32_t j = 0; j < gru->recurrent.units; ++j) r[j] *= h[j];
  ksr_matrix_add_vector_f32(&gru->candidate_kernel, r, y_acc);
}

void ksr_gru_run_f32(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  float *acc = scratch;
  float *states = (float *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  float *h = gru->h ? gru->h : states, *held = gru->held_h ? gru->held_h : states + r->units;
  const uint32_t state_size = (uint32_t)r->units * sizeof(float);
  if (!gru->h) memset(h, 0, state_size);
  if (gru->hidden_threshold && !gru->held_h) memset(held, 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (gru->hidden_threshold) send_state_changes(gru, h, held);
    ksr_recurrent_start_f32(r, ksr_recurrent_input(r, step), acc);
    if (!gru->hidden_threshold) ksr_matrix_add_vector_f32(&r->recurrent_kernel, h, acc);
    if (gru->reset_gate == KSR_RESET_BEFORE) add_reset_state(gru, h, acc);
    ksr_gru_units_f32(&gru->gates.activations, acc, r->stride, gru->reset_gate, h, r->units);
    float *output = ksr_recurrent_output(r, step);
    if (output) memcpy(output, h, state_size);
  }
}
