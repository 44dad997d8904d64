#include <string.h>

#include "add_events.h"
#include "gates_i8.h"
#include "gru_units.h"
#include "holds.h"
#include "ksr_gru_layer.h"
#include "multiply.h"
#include "recurrent.h"

enum { UNITS_AT_ONCE = 64 };

/* Adds what a matrix makes of the states of `count` units from number `first` on, a multiple of KSR_SOURCES_AT_ONCE. */
static void add_states(const ksr_gru_layer *gru, const ksr_matrix *matrix, const int16_t *states, int32_t first,
                       int32_t count, int32_t *acc) {
  const ksr_gates *gates = &gru->gates;
  const int32_t h_shift = gru->recurrent.h_shift, factor = 1 << h_shift;
  if (ksr_is_by_outputs(matrix)) {
    for (int32_t j = 0; j < count; j += KSR_SOURCES_AT_ONCE) {
      int8_t operands[KSR_SOURCES_AT_ONCE];
      const int32_t part = count - j < KSR_SOURCES_AT_ONCE ? count - j : KSR_SOURCES_AT_ONCE;
      ksr_write_states_i8(gates->operand, 0, states + j, part, operands);
      ksr_multiply_i8(matrix, operands, first + j, part, h_shift, acc);
    }
    return;
  }
  for (int32_t j = 0; j < count;) {
    ksr_event events[UNITS_AT_ONCE];
    ksr_event *end = events;
    for (; j < count && end < events + UNITS_AT_ONCE; ++j) {
      const int32_t operand = ksr_operand_i8(gates, states[j]);
      if (operand) *end++ = (ksr_event){(uint16_t)(first + j), (int16_t)(operand * factor)};
    }
    ksr_add_events_i8(matrix, events, end, acc);
  }
}

#if KSR_WITH_HOLDS
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
#endif

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_layer *gru, const int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  for (int32_t j = 0; j < r->units; j += KSR_SOURCES_AT_ONCE) {
    int16_t reset[KSR_SOURCES_AT_ONCE];
    const int32_t count = r->units - j < KSR_SOURCES_AT_ONCE ? r->units - j : KSR_SOURCES_AT_ONCE;
    gru->reset(&gru->gates, acc + r->stride + j, h + j, count, reset);
    add_states(gru, &gru->candidate_kernel, reset, j, count, acc + 3 * r->stride);
  }
  ksr_recurrent_scale_outputs(r, 3, 1, acc);
}

void ksr_gru_run_i8(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const int holds_h = KSR_WITH_HOLDS && gru->hidden_threshold != 0;
  const ksr_gates *gates = &gru->gates;
  /* Where x and h are held, a step needs nothing but the sums. */
  const int32_t on_sums = holds_h && !r->output_scales;
  int32_t *acc = on_sums ? r->sums : scratch;
  int16_t *states = (int16_t *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  int16_t *h = gru->h ? gru->h : states, *held = gru->held_h ? gru->held_h : states + r->units;
  const uint32_t state_size = (uint32_t)r->units * sizeof(int16_t);
  if (!gru->h) memset(h, 0, state_size);
  if (holds_h && !gru->held_h) memset(held, 0, state_size);
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
#if KSR_WITH_HOLDS
    if (holds_h) send_state_changes(gru, h, held);
#endif
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), acc);
    if (!holds_h) add_states(gru, &r->recurrent_kernel, h, 0, r->units, acc);
    ksr_recurrent_scale_outputs(r, 0, 3 + (gru->reset_gate == KSR_RESET_AFTER), acc);
    if (gru->reset_gate == KSR_RESET_BEFORE) add_reset_state(gru, h, acc);
    gru->units(gates, acc, r->stride, h, r->units);
    int8_t *output = ksr_recurrent_output(r, step);
    if (output) ksr_write_states_i8(gates->output, gates->output_zero_point, h, r->units, output);
  }
}
