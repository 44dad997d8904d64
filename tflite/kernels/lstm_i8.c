#include <string.h>

#include "ksr_lstm_layer.h"
#include "recurrent.h"

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
    ksr_recurrent_accumulate_i8(r, ksr_recurrent_input(r, step, sizeof(int8_t)), h, acc);
    ksr_recurrent_scale_outputs(r, 0, KSR_SLOTS, acc);
    lstm->units(lstm, acc, h, c, ksr_recurrent_output(r, step, sizeof(int8_t)));
  }
}
