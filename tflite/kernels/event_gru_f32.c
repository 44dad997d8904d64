#include <string.h>

#include "gates_f32.h"
#include "ksr_event_gru_layer.h"
#include "recurrent.h"

typedef struct buffers {
  float *acc;
  float *y, *c;
  float *trace; /* NULL unless it is read out */
} buffers;

static buffers place(const ksr_event_gru_layer *gru, float *scratch) {
  const int32_t units = gru->recurrent.units;
  buffers b = {0};
  b.acc = scratch;
  scratch += ksr_recurrent_scratch(&gru->recurrent) / sizeof(float);
  b.y = gru->y ? gru->y : scratch;
  b.c = gru->c ? gru->c : scratch + units;
  if (gru->readout == KSR_READOUT_TRACE) b.trace = gru->trace ? gru->trace : scratch + 2 * units;
  return b;
}

/* Gates, state and events of all units. `output` is NULL where this step is not read. */
static void update(const ksr_event_gru_layer *gru, const buffers *b, float *output) {
  const float *threshold = gru->threshold;
  const float trace_rate = (float)(gru->trace_rate / 2147483648.0);
  ksr_gru_units_f32(&gru->gates.activations, b->acc, gru->recurrent.stride, gru->reset_gate, b->c,
                    gru->recurrent.units);
  for (int32_t i = 0; i < gru->recurrent.units; ++i) {
    float c = b->c[i], y = 0.0f;
    if (c > threshold[i]) {
      y = c;
      if (gru->reset) c -= threshold[i];
    }
    b->y[i] = y;
    b->c[i] = c;
    if (b->trace) b->trace[i] += (y - b->trace[i]) * trace_rate;
    if (output) output[i] = gru->readout == KSR_READOUT_EVENT ? y : gru->readout == KSR_READOUT_CELL ? c : b->trace[i];
  }
}

void ksr_event_gru_run_f32(const ksr_event_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const uint32_t state_size = (uint32_t)r->units * sizeof(float);
  const buffers b = place(gru, scratch);
  if (!gru->y) memset(b.y, 0, state_size);
  if (!gru->c) memset(b.c, 0, state_size);
  if (b.trace && !gru->trace) memset(b.trace, 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_f32(r, ksr_recurrent_input(r, step, sizeof(float)), b.acc);
    ksr_matrix_add_vector_f32(&r->recurrent_kernel, b.y, b.acc);
    update(gru, &b, ksr_recurrent_output(r, step, sizeof(float)));
  }
}
