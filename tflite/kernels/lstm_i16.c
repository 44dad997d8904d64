#include <string.h>

#include "ksr_lstm_layer.h"
#include "recurrent.h"

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
    ksr_recurrent_accumulate_i16(r, ksr_recurrent_input(r, step, sizeof(int16_t)), h, acc);
    ksr_recurrent_scale_outputs(r, 0, KSR_SLOTS, acc);
    lstm->units(lstm, acc, h, c, ksr_recurrent_output(r, step, sizeof(int16_t)));
  }
}
