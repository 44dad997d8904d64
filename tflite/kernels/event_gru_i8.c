#include <string.h>

#include "add_events.h"
#include "events.h"
#include "gates_i8.h"
#include "gru_units.h"
#include "ksr_event_gru_layer.h"
#include "recurrent.h"
#include "vectors.h"

typedef struct buffers {
  int32_t *acc;
  int16_t *c;
  int16_t *trace;        /* NULL unless it is read out */
  ksr_event *events, *end; /* what the units that fired in the step before sent */
} buffers;

/* Bytes of a state in scratch memory, which it needs where it has no tensor. */
static uint32_t state_size(const ksr_event_gru_layer *gru) {
  return ksr_aligned((uint32_t)gru->recurrent.units * (uint32_t)sizeof(int16_t));
}

static buffers place(const ksr_event_gru_layer *gru, uint8_t *scratch) {
  const uint32_t units = (uint32_t)gru->recurrent.units;
  buffers b = {.acc = (int32_t *)(void *)scratch};
  scratch += ksr_recurrent_scratch(&gru->recurrent);
  b.events = (ksr_event *)(void *)scratch;
  scratch += units * (uint32_t)sizeof(ksr_event);
  b.c = gru->c ? gru->c : (int16_t *)(void *)scratch;
  if (gru->readout == KSR_READOUT_TRACE) {
    b.trace = gru->trace ? gru->trace : (int16_t *)(void *)(scratch + state_size(gru));
  }
  return b;
}

static void start(const ksr_event_gru_layer *gru, buffers *b) {
  const ksr_recurrent *r = &gru->recurrent;
  ksr_event *end = b->events;
  if (gru->y) end = ksr_events_read(gru->y, 0, r->units, r->h_shift, end);
  b->end = end;
  if (!gru->c) memset(b->c, 0, (uint32_t)r->units * sizeof(int16_t));
  if (b->trace && !gru->trace) memset(b->trace, 0, (uint32_t)r->units * sizeof(int16_t));
}

/* Updates the trace; reads it where `output` is not NULL. */
static void read_trace(const ksr_event_gru_layer *gru, const ksr_gates *gates, const buffers *b, int8_t *output) {
  const int32_t rate = gru->trace_rate >> 16;
  const ksr_event *event = b->events;
  for (int32_t i = 0; i < gru->recurrent.units; ++i) {
    const int32_t y = event < b->end && event->source == i ? event++->value : 0;
    b->trace[i] = (int16_t)(b->trace[i] + (((y - b->trace[i]) * rate + (1 << 14)) >> 15));
  }
  if (output) ksr_write_states_i8(gates->output, gates->output_zero_point, b->trace, gru->recurrent.units, output);
}

/* What was sent as 8 bits has fewer. */
static void saturate(const ksr_recurrent *r, ksr_event *event, const ksr_event *end, int8_t *y) {
  const int32_t most = (1 << r->operand_bits) - 1;
  for (; event < end; ++event) {
    const int32_t sent = event->value >> r->h_shift;
    if (sent <= most) continue;
    event->value = (int16_t)(most * (1 << r->h_shift));
    if (y) y[event->source] = (int8_t)(most - 128);
  }
}

/* One step from the accumulators: states, events, and what is read out and kept, where `output` and `y` are not
 * NULL. */
static void update(const ksr_event_gru_layer *gru, buffers *b, int8_t *output, int8_t *y) {
  const ksr_gates *gates = &gru->gates;
  const int32_t units = gru->recurrent.units;
  ksr_recurrent_scale_outputs(&gru->recurrent, 0, 3 + gru->reset_gate, b->acc);
  gru->units(gates, b->acc, gru->recurrent.stride, b->c, units);
  b->end = ksr_events_of(b->c, gru->threshold, 0, units, gru->reset, b->events);
  /* Until they are sent, events hold the states. */
  if (b->trace) {
    read_trace(gru, gates, b, output);
    output = 0;
  } else if (output && gru->readout == KSR_READOUT_CELL) {
    ksr_write_states_i8(gates->output, gates->output_zero_point, b->c, units, output);
    output = 0;
  }
  /* Most units are silent: what they put out and keep is written for all at once. */
  if (output) ksr_fill_i8(output, ksr_output_i8(gates, 0), units);
  if (y) ksr_fill_i8(y, -128, units);
  ksr_events_send(b->events, b->end, gates, gru->recurrent.h_shift, output, y);
  if (gru->recurrent.operand_bits < 8) saturate(&gru->recurrent, b->events, b->end, y);
}

void ksr_event_gru_run_i8(const ksr_event_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  buffers b = place(gru, scratch);
  start(gru, &b);
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step, sizeof(int8_t)), b.acc);
    ksr_add_events(&r->recurrent_kernel, b.events, b.end, b.acc);
    update(gru, &b, ksr_recurrent_output(r, step, sizeof(int8_t)), step == r->steps - 1 ? gru->y : 0);
  }
}
