#include <string.h>

#include "ksr_simple_rnn_layer.h"
#include "recurrent.h"

void ksr_simple_rnn_run_i16(const ksr_simple_rnn_layer *rnn, void *scratch) {
  const ksr_recurrent *r = &rnn->recurrent;
  /* Where all that is read is held, a step needs nothing but the sums. */
  const int holds_all = r->hidden_threshold || (r->input_threshold && !r->recurrent_kernel.sources);
  int32_t *acc = holds_all && !r->output_scales ? r->sums : scratch;
  int16_t *h = rnn->h;
  if (!h) h = memset((uint8_t *)scratch + ksr_recurrent_scratch(r), 0, (uint32_t)r->units * sizeof(int16_t));
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (r->recurrent_kernel.sources) {
      ksr_recurrent_accumulate_i16(r, ksr_recurrent_input(r, step, sizeof(int16_t)), h, acc);
    } else {
      ksr_recurrent_start_i16(r, ksr_recurrent_input(r, step, sizeof(int16_t)), acc);
    }
    ksr_recurrent_scale_outputs(r, 0, 1, acc);
    rnn->units(rnn, acc, h, ksr_recurrent_output(r, step, sizeof(int16_t)));
  }
}
