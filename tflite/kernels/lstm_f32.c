#include <string.h>

#include "gates_f32.h"
#include "ksr_lstm_layer.h"
#include "recurrent.h"

void ksr_lstm_run_f32(const ksr_lstm_layer *lstm, void *scratch) {
  const ksr_recurrent *r = &lstm->recurrent;
  const uint32_t state_size = (uint32_t)r->units * sizeof(float);
  float *acc = scratch;
  float *states = (float *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  float *h = lstm->h ? lstm->h : states;
  float *c = lstm->c ? lstm->c : states + r->units;
  if (!lstm->h) memset(h, 0, state_size);
  if (!lstm->c) memset(c, 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_accumulate_f32(r, ksr_recurrent_input(r, step, sizeof(float)), h, acc);
    ksr_lstm_units_f32(&lstm->gates.activations, acc, r->stride, c, h, r->units);
    float *output = ksr_recurrent_output(r, step, sizeof(float));
    if (output) memcpy(output, h, state_size);
  }
}
