#include <string.h>

#include "event_gru_steps.h"
#include "gates_i16.h"

typedef struct buffers {
  int32_t *acc;
  ksr_event *events; /* what the units that fired in the step before sent */
  ksr_event *end;
  int16_t *c;
  int16_t *trace; /* read where it is read out */
} buffers;

static buffers place(const ksr_event_gru_node *gru, uint8_t *scratch) {
  const uint32_t units = (uint32_t)gru->recurrent.options.units, state_size = units * (uint32_t)sizeof(int16_t);
  buffers b = {.acc = (int32_t *)(void *)scratch};
  scratch += ksr_recurrent_scratch(&gru->recurrent);
  b.events = b.end = (ksr_event *)(void *)scratch;
  scratch += units * (uint32_t)sizeof(ksr_event);
  b.c = gru->c ? gru->c : memset(scratch, 0, state_size);
  scratch += state_size;
  b.trace = gru->trace ? gru->trace : memset(scratch, 0, state_size);
  return b;
}

uint32_t ksr_event_gru_scratch_i16(const ksr_event_gru_node *gru) {
  const uint32_t each = (uint32_t)(sizeof(ksr_event) + 2 * sizeof(int16_t));
  return ksr_recurrent_scratch(&gru->recurrent) + each * (uint32_t)gru->recurrent.options.units;
}

static void send(const ksr_event_gru_node *gru, buffers *b, int32_t unit, int32_t value) {
  if (value) *b->end++ = (ksr_event){(uint16_t)unit, (int16_t)(value * (1 << gru->recurrent.options.h_shift))};
}

static int32_t saturated(const ksr_event_gru_node *gru, int32_t value) {
  return ksr_saturate(value, 0, (1 << gru->recurrent.options.operand_bits) - 1);
}

/* One step from the accumulators: states, events, and what is read out, if `output` is not NULL. */
static void update(const ksr_event_gru_node *gru, buffers *b, int16_t *output) {
  const ksr_event_gru_options *o = &gru->options;
  const ksr_gates gates = gru->gates;
  const int32_t stride = gru->recurrent.stride, rate = o->trace_rate >> 16;
  const int16_t *threshold = gru->threshold;
  b->end = b->events;
  for (int32_t i = 0; i < o->recurrent.units; ++i) {
    const int32_t z = ksr_sigmoid_i16(&gates, 0, b->acc[i]), r = ksr_sigmoid_i16(&gates, 1, b->acc[i + stride]);
    const int32_t c = ksr_gru_unit_i16(&gates, z, r, b->acc[i + 2 * stride], b->acc[i + 3 * stride], b->c[i]);
    const int32_t fired = c > threshold[i] ? c : 0;
    b->c[i] = (int16_t)(c - (fired && o->reset ? threshold[i] : 0));
    if (fired) send(gru, b, i, saturated(gru, ksr_rescale(fired, gates.operand)));
    int32_t read = o->readout == KSR_READOUT_CELL ? b->c[i] : fired;
    if (o->readout == KSR_READOUT_TRACE) {
      b->trace[i] = (int16_t)(b->trace[i] + (((fired - b->trace[i]) * rate + (1 << 14)) >> 15));
      read = b->trace[i];
    }
    if (output) output[i] = ksr_output_i16(&gates, read);
  }
}

void ksr_event_gru_run_i16(const ksr_event_gru_node *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  buffers b = place(gru, scratch);
  int16_t *y = gru->y;
  for (int32_t i = 0; y && i < r->options.units; ++i) send(gru, &b, i, saturated(gru, y[i]));
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i16(r, ksr_recurrent_input(r, step), b.acc);
    ksr_matrix_add_events_i8(&r->recurrent_kernel, b.events, (int32_t)(b.end - b.events), b.acc);
    ksr_recurrent_scale_outputs(r, 0, KSR_SLOTS, b.acc);
    update(gru, &b, ksr_recurrent_output(r, step));
  }
  if (!y) return;
  memset(y, 0, (uint32_t)r->options.units * sizeof(int16_t));
  for (const ksr_event *e = b.events; e < b.end; ++e) y[e->source] = (int16_t)(e->value >> r->options.h_shift);
}
