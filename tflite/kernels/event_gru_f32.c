#include <math.h>
#include <string.h>

#include "event_gru_steps.h"

typedef struct buffers {
  float *acc; /* 4 slots of stride */
  float *y, *c;
  float *trace; /* NULL unless it is read out */
} buffers;

static buffers place(const ksr_event_gru_node *gru, float *scratch) {
  const int32_t units = gru->options.units;
  buffers b = {0};
  b.acc = scratch;
  scratch += 4 * gru->stride;
  b.y = gru->state_y ? gru->state_y : scratch;
  b.c = gru->state_c ? gru->state_c : scratch + units;
  if (gru->options.readout == KSR_READOUT_TRACE) b.trace = gru->state_trace ? gru->state_trace : scratch + 2 * units;
  return b;
}

uint32_t ksr_event_gru_scratch_f32(const ksr_event_gru_node *gru) {
  const uint32_t states = gru->options.readout == KSR_READOUT_TRACE ? 3 : 2;
  return (4u * (uint32_t)gru->stride + states * (uint32_t)gru->options.units) * sizeof(float);
}

static void accumulate(const ksr_event_gru_node *gru, const buffers *b, const float *x) {
  memcpy(b->acc, gru->bias, 4u * (uint32_t)gru->stride * sizeof(float));
  for (int32_t j = 0; j < gru->inputs; ++j) {
    if (x[j] != 0.0f) ksr_matrix_add_f32(&gru->kernel, j, x[j], b->acc);
  }
  for (int32_t j = 0; j < gru->options.units; ++j) {
    if (b->y[j] != 0.0f) ksr_matrix_add_f32(&gru->recurrent_kernel, j, b->y[j], b->acc);
  }
}

static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/* Gates, state and events of all units. `output` is NULL where this step is not read. */
static void update(const ksr_event_gru_node *gru, const buffers *b, float *output) {
  const ksr_event_gru_options *o = &gru->options;
  const float *z_acc = b->acc, *r_acc = z_acc + gru->stride, *x_acc = r_acc + gru->stride, *y_acc = x_acc + gru->stride;
  const float *threshold = gru->threshold;
  const float trace_rate = (float)(o->trace_rate / 2147483648.0);
  for (int32_t i = 0; i < o->units; ++i) {
    const float z = sigmoid(z_acc[i]);
    const float g = tanhf(x_acc[i] + sigmoid(r_acc[i]) * y_acc[i]);
    float c = z * b->c[i] + (1.0f - z) * g;
    float y = 0.0f;
    if (c > threshold[i]) {
      y = c;
      if (o->reset) c -= threshold[i];
    }
    b->y[i] = y;
    b->c[i] = c;
    if (b->trace) b->trace[i] += (y - b->trace[i]) * trace_rate;
    if (output) output[i] = o->readout == KSR_READOUT_EVENT ? y : o->readout == KSR_READOUT_CELL ? c : b->trace[i];
  }
}

void ksr_event_gru_run_f32(const ksr_event_gru_node *gru, void *scratch) {
  const ksr_event_gru_options *o = &gru->options;
  const uint32_t state_size = (uint32_t)o->units * sizeof(float);
  const buffers b = place(gru, scratch);
  if (!gru->state_y) memset(b.y, 0, state_size);
  if (!gru->state_c) memset(b.c, 0, state_size);
  if (b.trace && !gru->state_trace) memset(b.trace, 0, state_size);
  for (int32_t step = 0; step < gru->steps; ++step) {
    const int32_t t = o->go_backwards ? gru->steps - 1 - step : step;
    float *output = gru->output;
    if (o->return_sequences) {
      output += step * o->units;
    } else if (step < gru->steps - 1) {
      output = 0;
    }
    accumulate(gru, &b, (const float *)gru->x + t * gru->inputs);
    update(gru, &b, output);
  }
}
