#include <string.h>

#include "gates_f32.h"
#include "gru_accumulators.h"
#include "ksr_gru_layer.h"
#include "recurrent.h"

/* Reset before the product: the candidate reads r * h, which takes the place of r's accumulators. */
static void add_reset_state(const ksr_gru_layer *gru, const float *h, float *acc) {
  const ksr_recurrent *recurrent = &gru->recurrent;
  const int32_t last = 3 * recurrent->stride;
  float *r = acc + recurrent->stride;
  if (gru->gates.activations.recurrent_activation) {
    gru->gates.activations.recurrent_activation(r, recurrent->units, 0, 0);
  } else {
    ksr_sigmoids_f32(r, r, recurrent->units);
  }
  for (int32_t j = 0; j < recurrent->units; ++j) r[j] *= h[j];
  if (gru->reset_threshold) {
    const float *bias = (const float *)recurrent->bias + last;
    float *sums = (float *)recurrent->sums + last;
    ksr_send_changes_f32(&gru->candidate_kernel, r, gru->reset_threshold, gru->held_reset, sums);
    for (int32_t i = 0; i < recurrent->stride; ++i) acc[last + i] = bias[i] + sums[i];
  } else {
    ksr_matrix_add_vector_f32(&gru->candidate_kernel, r, acc + last);
  }
}

/* Kernels of low rank: the sums of the factors stand in `acc` before the accumulators do. */
static void start_from_middle(const ksr_gru_layer *gru, const float *x, const float *h, float *middle, float *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  float *of_state = acc + ksr_gru_state_part(gru);
  memset(acc, 0, (uint32_t)(ksr_gru_state_part(gru) + gru->recurrent_factor_kernel.stride) * sizeof(float));
  ksr_matrix_add_vector_f32(&gru->input_factor_kernel, x, acc);
  ksr_matrix_add_vector_f32(&gru->recurrent_factor_kernel, h, of_state);
  memcpy(middle, acc, (uint32_t)gru->rank * sizeof(float));
  memcpy(middle + gru->rank, of_state, (uint32_t)gru->recurrent_rank * sizeof(float));
  memcpy(acc, r->bias, KSR_SLOTS * (uint32_t)r->stride * sizeof(float));
  ksr_matrix_add_vector_f32(&r->kernel, middle, acc);
  if (gru->recurrent_rank) ksr_matrix_add_vector_f32(&r->recurrent_kernel, middle + gru->rank, acc);
}

void ksr_gru_run_f32(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const uint32_t state_size = (uint32_t)r->units * sizeof(float);
  float *acc = scratch, *h = gru->h;
  if (!h) h = memset((uint8_t *)scratch + ksr_recurrent_scratch(r), 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (KSR_WITH_RANK && gru->rank) {
      start_from_middle(gru, ksr_recurrent_input(r, step, sizeof(float)), h, ksr_gru_middle(gru, scratch), acc);
    } else {
      ksr_recurrent_accumulate_f32(r, ksr_recurrent_input(r, step, sizeof(float)), h, acc);
    }
    if (gru->reset_gate == KSR_RESET_BEFORE) add_reset_state(gru, h, acc);
    ksr_gru_units_f32(&gru->gates.activations, acc, r->stride, gru->reset_gate, h, r->units);
    for (int32_t n = 0; KSR_WITH_DEEP && n < gru->deep; ++n) {
      const ksr_matrix matrix = ksr_gru_deep_kernel(gru, n);
      memcpy(acc, ksr_gru_deep_bias(gru, n), KSR_SLOTS * (uint32_t)r->stride * sizeof(float));
      ksr_matrix_add_vector_f32(&matrix, h, acc);
      ksr_gru_units_f32(&gru->gates.activations, acc, r->stride, gru->reset_gate, h, r->units);
    }
    float *output = ksr_recurrent_output(r, step, sizeof(float));
    if (output) memcpy(output, h, state_size);
  }
}
