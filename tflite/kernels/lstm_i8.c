#include <string.h>

#include "gates_i8.h"
#include "lstm_steps.h"

/* tanh of a cell state in Q(15 - bits), to the nearest entry of the table. */
static int32_t tanh_of_cell(int32_t c, int32_t bits) {
  return ksr_look_up(ksr_tanh_table, (c + (1 << (7 - bits))) >> (8 - bits));
}

static void update(const ksr_lstm_node *lstm, const int32_t *acc, int8_t *h, int16_t *c, int8_t *output) {
  const ksr_recurrent_options *options = &lstm->recurrent.options;
  const int32_t stride = lstm->recurrent.stride, bits = lstm->options.cell_bits;
  const int32_t *i_acc = acc, *f_acc = i_acc + stride, *c_acc = f_acc + stride, *o_acc = c_acc + stride;
  for (int32_t u = 0; u < options->units; ++u) {
    const int32_t i = ksr_sigmoid_i8(options, 0, i_acc[u]), f = ksr_sigmoid_i8(options, 1, f_acc[u]);
    const int32_t g = ksr_tanh_i8(options, ksr_pre_activation(options, 2, c_acc[u]));
    const int32_t o = ksr_sigmoid_i8(options, 3, o_acc[u]);
    const int32_t cell = ksr_saturate((f * c[u] + ((i * g) >> bits) + (1 << 14)) >> 15, INT16_MIN, INT16_MAX);
    const int32_t hidden = (o * tanh_of_cell(cell, bits) + (1 << 14)) >> 15;
    c[u] = (int16_t)cell;
    h[u] = (int8_t)ksr_operand_i8(options, hidden);
    if (output) output[u] = ksr_output_i8(options, hidden);
  }
}

void ksr_lstm_run_i8(const ksr_lstm_node *lstm, void *scratch) {
  const ksr_recurrent *r = &lstm->recurrent;
  const uint32_t units = (uint32_t)r->options.units;
  int32_t *acc = scratch;
  int16_t *c_scratch = (int16_t *)(acc + KSR_SLOTS * r->stride);
  int16_t *c = lstm->c ? lstm->c : c_scratch;
  int8_t *h = lstm->h ? lstm->h : (int8_t *)(c_scratch + units);
  if (!lstm->c) memset(c, 0, units * sizeof(int16_t));
  if (!lstm->h) memset(h, 0, units);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), acc);
    for (int32_t j = 0; j < r->options.units; ++j) {
      if (h[j]) ksr_matrix_add_i8(&r->recurrent_kernel, j, h[j] * (1 << r->options.h_shift), acc);
    }
    update(lstm, acc, h, c, ksr_recurrent_output(r, step));
  }
}
