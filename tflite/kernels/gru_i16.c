#include <string.h>

#include "add_events.h"
#include "gates_i16.h"
#include "gru_units_i16.h"
#include "holds.h"
#include "ksr_gru_layer.h"
#include "multiply.h"
#include "recurrent.h"

static int32_t operand_of(const ksr_gru_layer *gru, const ksr_gates *gates, int32_t q15) {
  return ksr_saturate_bits(ksr_rescale(q15, gates->operand), gru->recurrent.operand_bits);
}

static void add(const ksr_gru_layer *gru, const ksr_matrix *matrix, int32_t j, int32_t operand, int32_t *acc) {
  if (operand) ksr_add_event_i8(matrix, j, operand * (1 << gru->recurrent.h_shift), acc);
}

static void add_state(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *h, int32_t *acc) {
  const ksr_matrix *kernel = &gru->recurrent.recurrent_kernel;
  if (kernel->by_outputs) {
    const int32_t units = gru->recurrent.units;
    for (int32_t j = 0; j < units; j += KSR_SOURCES_AT_ONCE) {
      int16_t operands[KSR_SOURCES_AT_ONCE];
      const int32_t count = units - j < KSR_SOURCES_AT_ONCE ? units - j : KSR_SOURCES_AT_ONCE;
      for (int32_t i = 0; i < count; ++i) operands[i] = (int16_t)operand_of(gru, gates, h[j + i]);
      ksr_multiply_i16(kernel, operands, j, count, gru->recurrent.h_shift, acc);
    }
    return;
  }
  for (int32_t j = 0; j < kernel->sources; ++j) add(gru, kernel, j, operand_of(gru, gates, h[j]), acc);
}

/* Takes over those of h that have changed, and adds what they changed by to the sums. */
static void send_state_changes(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *h, int16_t *held) {
  const ksr_matrix *kernel = &gru->recurrent.recurrent_kernel;
  const uint16_t *threshold = gru->hidden_threshold;
  for (int32_t j = 0; j < kernel->sources; ++j) {
    if (ksr_is_held(h[j] - held[j], threshold[j])) continue;
    add(gru, kernel, j, operand_of(gru, gates, h[j]) - operand_of(gru, gates, held[j]), gru->recurrent.sums);
    held[j] = h[j];
  }
}

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *h, int32_t *acc) {
  const int32_t stride = gru->recurrent.stride, units = gru->recurrent.units;
  int16_t operands[KSR_SOURCES_AT_ONCE];
  for (int32_t j = 0; j < units; ++j) {
    const int32_t reset = (ksr_sigmoid_i16(gates, 1, acc[j + stride], gates->to_tanh) * h[j] + (1 << 14)) >> 15;
    const int32_t operand = operand_of(gru, gates, reset);
    if (gru->candidate_kernel.by_outputs) {
      const int32_t at = j % KSR_SOURCES_AT_ONCE;
      operands[at] = (int16_t)operand;
      if (at == KSR_SOURCES_AT_ONCE - 1 || j == units - 1) {
        ksr_multiply_i16(&gru->candidate_kernel, operands, j - at, at + 1, gru->recurrent.h_shift, acc + 3 * stride);
      }
    } else {
      add(gru, &gru->candidate_kernel, j, operand, acc + 3 * stride);
    }
  }
  ksr_recurrent_scale_outputs(&gru->recurrent, 3, 1, acc);
}

static void update(const ksr_gru_layer *gru, const ksr_gates *gates, const int32_t *acc, int16_t *h, int16_t *output) {
  const int32_t units = gru->recurrent.units, stride = gru->recurrent.stride;
  if (gru->reset_after) {
    ksr_gru_units_i16(gates, acc, stride, h, units);
  } else {
    ksr_gru_units_after_reset_i16(gates, acc, stride, h, units);
  }
  for (int32_t i = 0; output && i < units; ++i) output[i] = ksr_output_i16(gates, h[i]);
}

void ksr_gru_run_i16(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const ksr_gates gates = gru->gates;
  int32_t *acc = scratch;
  int16_t *states = (int16_t *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  int16_t *h = gru->h ? gru->h : states, *held = gru->held_h ? gru->held_h : states + r->units;
  const uint32_t state_size = (uint32_t)r->units * (uint32_t)sizeof(int16_t);
  if (!gru->h) memset(h, 0, state_size);
  if (gru->hidden_threshold && !gru->held_h) memset(held, 0, state_size);
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (gru->hidden_threshold) send_state_changes(gru, &gates, h, held);
    ksr_recurrent_start_i16(r, ksr_recurrent_input(r, step), acc);
    if (!gru->hidden_threshold) add_state(gru, &gates, h, acc);
    ksr_recurrent_scale_outputs(r, 0, 3 + gru->reset_after, acc);
    if (!gru->reset_after) add_reset_state(gru, &gates, h, acc);
    update(gru, &gates, acc, h, ksr_recurrent_output(r, step));
  }
}
