#include <string.h>

#include "gates_i8.h"
#include "ksr_lstm_layer.h"
#include "recurrent.h"

/* tanh of a cell state in Q(15 - bits), to the nearest entry of the table. */
static int32_t tanh_of_cell(int32_t c, int32_t bits) {
  return ksr_look_up(ksr_tanh_table, (c + (1 << (7 - bits))) >> (8 - bits));
}

static void update(const ksr_lstm_layer *lstm, const int32_t *acc, int8_t *h, int16_t *c, int8_t *output) {
  const ksr_gates gates = lstm->gates;
  const int32_t units = lstm->recurrent.units, stride = lstm->recurrent.stride;
  const int32_t bits = lstm->cell_bits;
  for (int32_t u = 0; u < units; ++u) {
    const int32_t i = ksr_sigmoid_i8(&gates, 0, acc[u]), f = ksr_sigmoid_i8(&gates, 1, acc[u + stride]);
    const int32_t g = ksr_look_up(ksr_tanh_table, ksr_multiply(acc[u + 2 * stride], gates.multiplier[2]));
    const int32_t o = ksr_sigmoid_i8(&gates, 3, acc[u + 3 * stride]);
    const int32_t cell = ksr_saturate((f * c[u] + ((i * g) >> bits) + (1 << 14)) >> 15, INT16_MIN, INT16_MAX);
    const int32_t hidden = (o * tanh_of_cell(cell, bits) + (1 << 14)) >> 15;
    c[u] = (int16_t)cell;
    h[u] = (int8_t)ksr_operand_i8(&gates, hidden);
    if (output) output[u] = ksr_output_i8(&gates, hidden);
  }
}

void ksr_lstm_run_i8(const ksr_lstm_layer *lstm, void *scratch) {
  const ksr_recurrent *r = &lstm->recurrent;
  const uint32_t units = (uint32_t)r->units;
  int32_t *acc = scratch;
  int16_t *c_scratch = (int16_t *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  int16_t *c = lstm->c ? lstm->c : c_scratch;
  int8_t *h = lstm->h ? lstm->h : (int8_t *)(c_scratch + units);
  if (!lstm->c) memset(c, 0, units * sizeof(int16_t));
  if (!lstm->h) memset(h, 0, units);
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), acc);
    ksr_recurrent_add_i8(r, h, acc);
    ksr_recurrent_scale_outputs(r, 0, KSR_SLOTS, acc);
    update(lstm, acc, h, c, ksr_recurrent_output(r, step));
  }
}
