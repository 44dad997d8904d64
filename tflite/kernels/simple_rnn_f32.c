#include <string.h>

#include "gates_f32.h"
#include "ksr_simple_rnn_layer.h"
#include "recurrent.h"

void ksr_simple_rnn_run_f32(const ksr_simple_rnn_layer *rnn, void *scratch) {
  const ksr_recurrent *r = &rnn->recurrent;
  ksr_activation *activation = rnn->gates.activations.activation;
  const uint32_t state_size = (uint32_t)r->units * sizeof(float);
  float *acc = scratch, *h = rnn->h;
  if (!h) h = memset((uint8_t *)scratch + ksr_recurrent_scratch(r), 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    if (r->recurrent_kernel.sources) {
      ksr_recurrent_accumulate_f32(r, ksr_recurrent_input(r, step, sizeof(float)), h, acc);
    } else {
      ksr_recurrent_start_f32(r, ksr_recurrent_input(r, step, sizeof(float)), acc);
    }
    if (activation) {
      activation(acc, r->units, 0, 0);
      memcpy(h, acc, state_size);
    } else {
      ksr_tanhs_f32(acc, h, r->units);
    }
    float *output = ksr_recurrent_output(r, step, sizeof(float));
    if (output) memcpy(output, h, state_size);
  }
}
