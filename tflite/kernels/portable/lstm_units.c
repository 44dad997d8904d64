#include "lstm_units.h"

/* tanh of a cell state in Q(15 - bits), to the nearest entry of the table. */
static int32_t tanh_of_cell(int32_t c, int32_t bits) {
  return ksr_look_up(ksr_tanh_table, (c + (1 << (7 - bits))) >> (8 - bits));
}

void ksr_lstm_units_i8_portable(const ksr_gates *gates, int32_t cell_bits, int32_t *acc, int32_t stride, int16_t *c,
                                int8_t *h, int8_t *output, int32_t units) {
  const ksr_gates a = *gates;
  for (int32_t u = 0; u < units; ++u) {
    const int32_t i = ksr_sigmoid_i8(&a, 0, acc[u]), f = ksr_sigmoid_i8(&a, 1, acc[u + stride]);
    const int32_t g = ksr_look_up(ksr_tanh_table, ksr_multiply(acc[u + 2 * stride], a.multiplier[2]));
    const int32_t o = ksr_sigmoid_i8(&a, 3, acc[u + 3 * stride]);
    const int32_t cell = ksr_saturate((f * c[u] + ((i * g) >> cell_bits) + (1 << 14)) >> 15, INT16_MIN, INT16_MAX);
    const int32_t hidden = (o * tanh_of_cell(cell, cell_bits) + (1 << 14)) >> 15;
    c[u] = (int16_t)cell;
    h[u] = (int8_t)ksr_operand_i8(&a, hidden);
    if (output) output[u] = ksr_output_i8(&a, hidden);
  }
}
