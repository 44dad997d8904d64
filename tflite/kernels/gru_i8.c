#include <string.h>

#include "add_events.h"
#include "gates_i8.h"
#include "gru_units.h"
#include "holds.h"
#include "ksr_gru_layer.h"
#include "multiply.h"
#include "recurrent.h"

enum { UNITS_AT_ONCE = 64 };

static void add_state(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  const int32_t units = r->units, factor = 1 << r->h_shift;
  if (r->recurrent_kernel.by_outputs) {
    for (int32_t j = 0; j < units; j += KSR_SOURCES_AT_ONCE) {
      int8_t operands[KSR_SOURCES_AT_ONCE];
      const int32_t count = units - j < KSR_SOURCES_AT_ONCE ? units - j : KSR_SOURCES_AT_ONCE;
      ksr_write_states_i8(gates->operand, 0, h + j, count, operands);
      ksr_multiply_i8(&r->recurrent_kernel, operands, j, count, r->h_shift, acc);
    }
    return;
  }
  for (int32_t j = 0; j < units;) {
    ksr_event events[UNITS_AT_ONCE];
    ksr_event *end = events;
    for (; j < units && end < events + UNITS_AT_ONCE; ++j) {
      const int32_t operand = ksr_operand_i8(gates, h[j]);
      if (operand) *end++ = (ksr_event){(uint16_t)j, (int16_t)(operand * factor)};
    }
    ksr_add_events_i8(&gru->recurrent.recurrent_kernel, events, end, acc);
  }
}

/* Takes over those of h that have changed, and adds what they changed by to the sums. */
static void send_state_changes(const ksr_gru_layer *gru, const int16_t *h, int16_t *held) {
  const ksr_recurrent *r = &gru->recurrent;
  const int32_t units = r->units;
  for (int32_t j = 0; j < units; j += UNITS_AT_ONCE) {
    ksr_event events[UNITS_AT_ONCE];
    const int32_t count = units - j < UNITS_AT_ONCE ? units - j : UNITS_AT_ONCE;
    const ksr_event *end =
        ksr_hold_states(&gru->gates, h, gru->hidden_threshold, held, j, count, r->h_shift, events);
    ksr_add_events_i8(&gru->recurrent.recurrent_kernel, events, end, gru->recurrent.sums);
  }
}

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  const int32_t *r_acc = acc + gru->recurrent.stride;
  int32_t *y_acc = acc + 3 * gru->recurrent.stride;
  int8_t operands[KSR_SOURCES_AT_ONCE];
  for (int32_t j = 0; j < r->units; ++j) {
    const int32_t operand = ksr_operand_i8(gates, (ksr_sigmoid_i8(gates, 1, r_acc[j]) * h[j] + (1 << 14)) >> 15);
    if (gru->candidate_kernel.by_outputs) {
      const int32_t at = j % KSR_SOURCES_AT_ONCE;
      operands[at] = (int8_t)operand;
      if (at == KSR_SOURCES_AT_ONCE - 1 || j == r->units - 1) {
        ksr_multiply_i8(&gru->candidate_kernel, operands, j - at, at + 1, r->h_shift, y_acc);
      }
    } else if (operand) {
      ksr_add_event_i8(&gru->candidate_kernel, j, operand * (1 << r->h_shift), y_acc);
    }
  }
  ksr_recurrent_scale_outputs(&gru->recurrent, 3, 1, acc);
}

static void update(const ksr_gru_layer *gru, const ksr_gates *gates, const int32_t *acc, int16_t *h) {
  const int32_t units = gru->recurrent.units, stride = gru->recurrent.stride;
  if (gru->reset_after) {
    ksr_gru_units_i8(gates, acc, stride, h, units);
    return;
  }
  for (int32_t i = 0; i < units; ++i) {
    const int32_t z = ksr_sigmoid_i8(gates, 0, acc[i]);
    h[i] = (int16_t)ksr_gru_unit_i8(gates, z, KSR_Q15_ONE, acc[i + 2 * stride], acc[i + 3 * stride], h[i]);
  }
}

void ksr_gru_run_i8(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const ksr_gates *gates = &gru->gates;
  /* Where x and h are held, a step needs nothing but the sums. */
  const int32_t on_sums = gru->hidden_threshold && !r->output_scales;
  int32_t *acc = on_sums ? r->sums : scratch;
  int16_t *states = (int16_t *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  int16_t *h = gru->h ? gru->h : states, *held = gru->held_h ? gru->held_h : states + r->units;
  const uint32_t state_size = (uint32_t)r->units * sizeof(int16_t);
  if (!gru->h) memset(h, 0, state_size);
  if (gru->hidden_threshold && !gru->held_h) memset(held, 0, state_size);
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (gru->hidden_threshold) send_state_changes(gru, h, held);
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), acc);
    if (!gru->hidden_threshold) add_state(gru, gates, h, acc);
    ksr_recurrent_scale_outputs(r, 0, 3 + gru->reset_after, acc);
    if (!gru->reset_after) add_reset_state(gru, gates, h, acc);
    update(gru, gates, acc, h);
    int8_t *output = ksr_recurrent_output(r, step);
    if (output) ksr_write_states_i8(gates->output, gates->output_zero_point, h, r->units, output);
  }
}
