#include <string.h>

#include "gru_accumulators.h"
#include "holds.h"
#include "ksr_gru_layer.h"
#include "multiply_any.h"
#include "recurrent.h"
#include "units_i16.h"
#include "vectors.h"

static int32_t operand_of(const ksr_gru_layer *gru, const ksr_gates *gates, int32_t state) {
  return ksr_saturate_bits(ksr_rescale(state, gates->operand), gru->recurrent.operand_bits);
}

static void add(const ksr_gru_layer *gru, const ksr_matrix *matrix, int32_t j, int32_t operand, int32_t *acc) {
  if (operand) ksr_add_event(matrix, j, operand * (1 << gru->recurrent.h_shift), acc);
}

/* Adds what a matrix makes of the states of `count` units from number `first` on, a multiple of KSR_SOURCES_AT_ONCE. */
static void add_states(const ksr_gru_layer *gru, const ksr_gates *gates, const ksr_matrix *matrix,
                       const int16_t *states, int32_t first, int32_t count, int32_t *acc) {
  if (ksr_is_for_all(matrix)) {
    for (int32_t j = 0; j < count; j += KSR_SOURCES_AT_ONCE) {
      int16_t operands[KSR_SOURCES_AT_ONCE];
      const int32_t part = count - j < KSR_SOURCES_AT_ONCE ? count - j : KSR_SOURCES_AT_ONCE;
      ksr_write_states_i16(gates->operand, gru->recurrent.operand_bits, states + j, part, operands);
      ksr_multiply_by_i16(matrix, operands, first + j, part, gru->recurrent.h_shift, acc);
    }
    return;
  }
  for (int32_t j = 0; j < count; ++j) add(gru, matrix, first + j, operand_of(gru, gates, states[j]), acc);
}

/* Takes over those of `count` states from number `first` on that have changed, and adds what they changed by to
 * sums. */
static void send_changes(const ksr_gru_layer *gru, const ksr_gates *gates, const ksr_matrix *matrix,
                         const int16_t *states, const uint16_t *threshold, int16_t *held, int32_t first, int32_t count,
                         int32_t *sums) {
  for (int32_t j = 0; j < count; ++j) {
    if (ksr_is_held(states[j] - held[j], threshold[j])) continue;
    add(gru, matrix, first + j, operand_of(gru, gates, states[j]) - operand_of(gru, gates, held[j]), sums);
    held[j] = states[j];
  }
}

static void write_middle(const ksr_gru_layer *gru, int32_t part, const int32_t *sums, int32_t count, int16_t *middle) {
  for (int32_t i = 0; i < count; ++i) {
    middle[i] = (int16_t)ksr_saturate_bits(ksr_multiply(sums[i], gru->middle_multiplier[part]), gru->middle_bits);
  }
}

/* Kernels of low rank: the sums of the factors stand in `acc` before the accumulators do. */
static void start_from_middle(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *x, const int16_t *h,
                              int16_t *middle, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  const ksr_operand of_x = {r->x_shift, 16, 0}, of_middle = {0, 16, gru->middle_shift};
  int32_t *of_state = acc + ksr_gru_state_part(gru);
  ksr_copy_words(acc, gru->middle_start, ksr_gru_state_part(gru) + gru->recurrent_factor_kernel.stride);
  ksr_add_vector_i16(&gru->input_factor_kernel, x, of_x, acc);
  add_states(gru, gates, &gru->recurrent_factor_kernel, h, 0, r->units, of_state);
  write_middle(gru, 0, acc, gru->rank, middle);
  write_middle(gru, 1, of_state, gru->recurrent_rank, middle + gru->rank);
  ksr_copy_words(acc, r->bias, KSR_SLOTS * r->stride);
  ksr_add_vector_i16(&r->kernel, middle, of_middle, acc);
  if (gru->recurrent_rank) ksr_add_vector_i16(&r->recurrent_kernel, middle + gru->rank, of_middle, acc);
}

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_layer *gru, const ksr_gates *gates, const int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  const int holds_reset = KSR_WITH_HOLDS && gru->reset_threshold != 0;
  const int32_t last = 3 * r->stride;
  const size_t slot = (size_t)r->stride * sizeof(*acc);
  for (int32_t j = 0; j < r->units; j += KSR_SOURCES_AT_ONCE) {
    int16_t reset[KSR_SOURCES_AT_ONCE];
    const int32_t count = r->units - j < KSR_SOURCES_AT_ONCE ? r->units - j : KSR_SOURCES_AT_ONCE;
    gru->reset(gates, acc + r->stride + j, h + j, count, reset);
    if (holds_reset) {
      send_changes(gru, gates, &gru->candidate_kernel, reset, (const uint16_t *)gru->reset_threshold + j,
                   (int16_t *)gru->held_reset + j, j, count, (int32_t *)r->sums + last);
    } else {
      add_states(gru, gates, &gru->candidate_kernel, reset, j, count, acc + last);
    }
  }
  if (holds_reset && acc != r->sums) memcpy(acc + last, (const int32_t *)r->sums + last, slot);
  ksr_recurrent_scale_outputs(r, 3, 1, acc);
}

/* The micro-layers behind the first. */
static void go_deep(const ksr_gru_layer *gru, const ksr_gates *gates, int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &gru->recurrent;
  for (int32_t n = 0; n < gru->deep; ++n) {
    const ksr_matrix matrix = ksr_gru_deep_kernel(gru, n);
    ksr_copy_words(acc, ksr_gru_deep_bias(gru, n), KSR_SLOTS * r->stride);
    add_states(gru, gates, &matrix, h, 0, r->units, acc);
    ksr_recurrent_scale_outputs(r, 0, 3, acc);
    gru->units(gates, acc, r->stride, h, r->units);
  }
}

void ksr_gru_run_i16(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const int holds_h = KSR_WITH_HOLDS && r->hidden_threshold != 0;
  const ksr_gates gates = gru->gates;
  int32_t *acc = ksr_gru_accumulators(gru, scratch);
  int16_t *h = gru->h;
  if (!h) h = memset((uint8_t *)scratch + ksr_recurrent_scratch(r), 0, (uint32_t)r->units * sizeof(int16_t));
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (holds_h) {
      send_changes(gru, &gates, &r->recurrent_kernel, h, r->hidden_threshold, r->held_h, 0, r->units, r->sums);
    }
    const int16_t *x = ksr_recurrent_input(r, step, sizeof(int16_t));
    if (KSR_WITH_RANK && gru->rank) {
      start_from_middle(gru, &gates, x, h, ksr_gru_middle(gru, scratch), acc);
    } else {
      ksr_recurrent_start_i16(r, x, acc);
      if (!holds_h) add_states(gru, &gates, &r->recurrent_kernel, h, 0, r->units, acc);
    }
    ksr_recurrent_scale_outputs(r, 0, 3 + (gru->reset_gate == KSR_RESET_AFTER), acc);
    if (gru->reset_gate == KSR_RESET_BEFORE) add_reset_state(gru, &gates, h, acc);
    gru->units(&gates, acc, r->stride, h, r->units);
    if (KSR_WITH_DEEP) go_deep(gru, &gates, h, acc);
    int16_t *output = ksr_recurrent_output(r, step, sizeof(int16_t));
    if (output) ksr_write_states_i16(gates.output, 16, h, r->units, output);
  }
}
