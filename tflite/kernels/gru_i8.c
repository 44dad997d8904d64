#include <string.h>

#include "gates_i8.h"
#include "gru_accumulators.h"
#include "gru_units.h"
#include "holds.h"
#include "ksr_gru_layer.h"
#include "multiply_any.h"
#include "recurrent.h"
#include "vectors.h"

enum { UNITS_AT_ONCE = 64 };

/* Adds what a matrix makes of the states of `count` units from number `first` on, a multiple of KSR_SOURCES_AT_ONCE. */
static void add_states(const ksr_gru_layer *gru, const ksr_matrix *matrix, const int16_t *states, int32_t first,
                       int32_t count, int32_t *acc) {
  const ksr_gates *gates = &gru->gates;
  for (int32_t j = 0; j < count; j += KSR_SOURCES_AT_ONCE) {
    int8_t operands[KSR_SOURCES_AT_ONCE];
    const int32_t part = count - j < KSR_SOURCES_AT_ONCE ? count - j : KSR_SOURCES_AT_ONCE;
    ksr_write_states_i8(gates->operand, 0, states + j, part, operands);
    ksr_multiply_some_i8(matrix, operands, first + j, part, 0, gru->recurrent.h_shift, acc);
  }
}

#if KSR_WITH_HOLDS
/* Takes over those of `count` states from number `first` on that have changed, and adds what they changed by to
 * sums. */
static void send_changes(const ksr_gru_layer *gru, const ksr_matrix *matrix, const int16_t *states,
                         const uint16_t *threshold, int16_t *held, int32_t first, int32_t count, int32_t *sums) {
  for (int32_t j = 0; j < count; j += UNITS_AT_ONCE) {
    ksr_event events[UNITS_AT_ONCE];
    const int32_t part = count - j < UNITS_AT_ONCE ? count - j : UNITS_AT_ONCE;
    const ksr_event *end = ksr_hold_states(&gru->gates, states + j, threshold + j, held + j, first + j, part,
                                           gru->recurrent.h_shift, events);
    ksr_add_events(matrix, events, end, sums);
  }
}
#endif

/* Kernels of low rank: the sums of the factors stand in `acc` before the accumulators do. */
static void start_from_middle(const ksr_gru_layer *gru, const int8_t *x, const int16_t *h, int8_t *middle,
                              int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  int32_t *of_state = acc + ksr_gru_state_part(gru);
  ksr_copy_words(acc, gru->middle_start, ksr_gru_state_part(gru) + gru->recurrent_factor_kernel.stride);
  ksr_multiply_all_i8(&gru->input_factor_kernel, x, r->x_zero_point, r->x_shift, acc);
  add_states(gru, &gru->recurrent_factor_kernel, h, 0, r->units, of_state);
  for (int32_t i = 0; i < gru->rank; ++i) {
    middle[i] = (int8_t)ksr_saturate_i8(ksr_multiply(acc[i], gru->middle_multiplier[0]));
  }
  for (int32_t i = 0; i < gru->recurrent_rank; ++i) {
    middle[gru->rank + i] = (int8_t)ksr_saturate_i8(ksr_multiply(of_state[i], gru->middle_multiplier[1]));
  }
  ksr_copy_words(acc, r->bias, KSR_SLOTS * r->stride);
  ksr_multiply_all_i8(&r->kernel, middle, 0, gru->middle_shift, acc);
  if (gru->recurrent_rank) ksr_multiply_all_i8(&r->recurrent_kernel, middle + gru->rank, 0, gru->middle_shift, acc);
}

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_layer *gru, const int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  const int32_t last = 3 * r->stride;
  const size_t slot = (size_t)r->stride * sizeof(*acc);
  for (int32_t j = 0; j < r->units; j += KSR_SOURCES_AT_ONCE) {
    int16_t reset[KSR_SOURCES_AT_ONCE];
    const int32_t count = r->units - j < KSR_SOURCES_AT_ONCE ? r->units - j : KSR_SOURCES_AT_ONCE;
    gru->reset(&gru->gates, acc + r->stride + j, h + j, count, reset);
#if KSR_WITH_HOLDS
    if (gru->reset_threshold) {
      send_changes(gru, &gru->candidate_kernel, reset, (const uint16_t *)gru->reset_threshold + j,
                   (int16_t *)gru->held_reset + j, j, count, (int32_t *)r->sums + last);
      continue;
    }
#endif
    add_states(gru, &gru->candidate_kernel, reset, j, count, acc + last);
  }
  if (gru->reset_threshold && acc != r->sums) memcpy(acc + last, (const int32_t *)r->sums + last, slot);
  ksr_recurrent_scale_outputs(r, 3, 1, acc);
}

/* The micro-layers behind the first. */
static void go_deep(const ksr_gru_layer *gru, int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  for (int32_t n = 0; n < gru->deep; ++n) {
    const ksr_matrix matrix = ksr_gru_deep_kernel(gru, n);
    ksr_copy_words(acc, ksr_gru_deep_bias(gru, n), KSR_SLOTS * r->stride);
    add_states(gru, &matrix, h, 0, r->units, acc);
    ksr_recurrent_scale_outputs(r, 0, 3, acc);
    gru->units(&gru->gates, acc, r->stride, h, r->units);
  }
}

void ksr_gru_run_i8(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const ksr_gates *gates = &gru->gates;
  const int holds_h = KSR_WITH_HOLDS && r->hidden_threshold != 0;
  int32_t *acc = ksr_gru_accumulators(gru, scratch);
  int16_t *h = gru->h;
  if (!h) h = memset((uint8_t *)scratch + ksr_recurrent_scratch(r), 0, (uint32_t)r->units * sizeof(int16_t));
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
#if KSR_WITH_HOLDS
    if (holds_h) send_changes(gru, &r->recurrent_kernel, h, r->hidden_threshold, r->held_h, 0, r->units, r->sums);
#endif
    if (KSR_WITH_RANK && gru->rank) {
      start_from_middle(gru, ksr_recurrent_input(r, step, sizeof(int8_t)), h, ksr_gru_middle(gru, scratch), acc);
    } else {
      ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step, sizeof(int8_t)), acc);
      if (!holds_h) add_states(gru, &r->recurrent_kernel, h, 0, r->units, acc);
    }
    ksr_recurrent_scale_outputs(r, 0, 3 + (gru->reset_gate == KSR_RESET_AFTER), acc);
    if (gru->reset_gate == KSR_RESET_BEFORE) add_reset_state(gru, h, acc);
    gru->units(gates, acc, r->stride, h, r->units);
    if (KSR_WITH_DEEP) go_deep(gru, h, acc);
    int8_t *output = ksr_recurrent_output(r, step, sizeof(int8_t));
    if (output) ksr_write_states_i8(gates->output, gates->output_zero_point, h, r->units, output);
  }
}
