#include <string.h>

#include "gates_i16.h"
#include "ksr_lstm_layer.h"
#include "recurrent.h"

static void update(const ksr_lstm_layer *lstm, const int32_t *acc, int16_t *h, int16_t *c, int16_t *output) {
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
    h[u] = (int16_t)ksr_saturate_bits(ksr_rescale(hidden, gates.operand), r->operand_bits);
    if (output) output[u] = ksr_output_i16(&gates, hidden);
  }
}

void ksr_lstm_run_i16(const ksr_lstm_layer *lstm, void *scratch) {
  const ksr_recurrent *r = &lstm->recurrent;
  const uint32_t units = (uint32_t)r->units, state_size = units * (uint32_t)sizeof(int16_t);
  int32_t *acc = scratch;
  int16_t *states = (int16_t *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  int16_t *c = lstm->c ? lstm->c : states, *h = lstm->h ? lstm->h : states + units;
  if (!lstm->c) memset(c, 0, state_size);
  if (!lstm->h) memset(h, 0, state_size);
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i16(r, ksr_recurrent_input(r, step), acc);
    ksr_recurrent_add_i16(r, h, acc);
    ksr_recurrent_scale_outputs(r, 0, KSR_SLOTS, acc);
    update(lstm, acc, h, c, ksr_recurrent_output(r, step));
  }
}
