#include "gates_i16.h"
#include "ksr_lstm_layer.h"

void ksr_lstm_units_usual_i16(const ksr_lstm_layer *lstm, int32_t *acc, void *h, int16_t *c, void *output) {
  int16_t *operand = h, *y = output;
  const ksr_recurrent *r = &lstm->recurrent;
  const ksr_gates gates = lstm->gates;
  const int32_t stride = lstm->recurrent.stride, bits = lstm->cell_bits, n = gates.to_tanh;
  for (int32_t u = 0; u < r->units; ++u) {
    const int32_t i = ksr_sigmoid_i16(&gates, 0, acc[u], n), f = ksr_sigmoid_i16(&gates, 1, acc[u + stride], n);
    const int32_t g = ksr_tanh_i16(&gates, 2, acc[u + 2 * stride], n);
    const int32_t out = ksr_sigmoid_i16(&gates, 3, acc[u + 3 * stride], n);
    const int32_t cell = ksr_saturate((f * c[u] + ((i * g) >> bits) + (1 << 14)) >> 15, INT16_MIN, INT16_MAX);
    const int32_t hidden = (out * ksr_interpolate(ksr_tanh_table, cell, 8 - bits) + (1 << 14)) >> 15;
    c[u] = (int16_t)cell;
    operand[u] = (int16_t)ksr_saturate_bits(ksr_rescale(hidden, gates.operand), r->operand_bits);
    if (y) y[u] = ksr_output_i16(&gates, hidden);
  }
}
