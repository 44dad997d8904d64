#include <string.h>

#include "add_events.h"
#include "events.h"
#include "gates_i16.h"
#include "ksr_event_gru_layer.h"
#include "recurrent.h"

typedef struct buffers {
  int32_t *acc;
  ksr_event *events; /* what the units that fired in the step before sent */
  ksr_event *end;
  int16_t *c;
  int16_t *trace; /* NULL unless it is read out */
} buffers;

static buffers place(const ksr_event_gru_layer *gru, uint8_t *scratch) {
  const uint32_t units = (uint32_t)gru->recurrent.units, state_size = units * (uint32_t)sizeof(int16_t);
  buffers b = {.acc = (int32_t *)(void *)scratch};
  scratch += ksr_recurrent_scratch(&gru->recurrent);
  b.events = b.end = (ksr_event *)(void *)scratch;
  scratch += units * (uint32_t)sizeof(ksr_event);
  b.c = gru->c ? gru->c : memset(scratch, 0, state_size);
  if (gru->readout == KSR_READOUT_TRACE) {
    scratch += ksr_aligned(state_size);
    b.trace = gru->trace ? gru->trace : memset(scratch, 0, state_size);
  }
  return b;
}

static int32_t saturated(const ksr_event_gru_layer *gru, int32_t value) {
  return ksr_saturate(value, 0, (1 << gru->recurrent.operand_bits) - 1);
}

static void read_cells(const ksr_gates *gates, const int16_t *cell, int32_t units, int16_t *output) {
  const ksr_gates g = *gates;
  for (int32_t i = 0; i < units; ++i) output[i] = ksr_output_i16(&g, cell[i]);
}

static void update_trace(const ksr_event_gru_layer *gru, const buffers *b) {
  const int32_t rate = gru->trace_rate >> 16;
  const ksr_event *event = b->events;
  for (int32_t i = 0; i < gru->recurrent.units; ++i) {
    const int32_t y = event < b->end && event->source == i ? event++->value : 0;
    b->trace[i] = (int16_t)(b->trace[i] + (((y - b->trace[i]) * rate + (1 << 14)) >> 15));
  }
}

/* One step from the accumulators: states, events, and what is read out, if `output` is not NULL. */
static void update(const ksr_event_gru_layer *gru, buffers *b, int16_t *output) {
  const ksr_gates gates = gru->gates;
  const int32_t units = gru->recurrent.units;
  gru->units(&gates, b->acc, gru->recurrent.stride, b->c, units);
  /* Until they are sent, events hold the states. */
  b->end = ksr_events_of(b->c, gru->threshold, 0, units, gru->reset, b->events);
  if (gru->readout == KSR_READOUT_TRACE) update_trace(gru, b);
  if (output && gru->readout == KSR_READOUT_EVENT) {
    memset(output, 0, (uint32_t)units * sizeof(int16_t));
  } else if (output) {
    read_cells(&gates, gru->readout == KSR_READOUT_CELL ? b->c : b->trace, units, output);
  }
  for (ksr_event *e = b->events; e < b->end; ++e) {
    if (output && gru->readout == KSR_READOUT_EVENT) output[e->source] = ksr_output_i16(&gates, e->value);
    e->value = (int16_t)(saturated(gru, ksr_rescale(e->value, gates.operand)) * (1 << gru->recurrent.h_shift));
  }
}

void ksr_event_gru_run_i16(const ksr_event_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  buffers b = place(gru, scratch);
  int16_t *y = gru->y;
  for (int32_t i = 0; y && i < r->units; ++i) {
    const int32_t sent = saturated(gru, y[i]);
    if (sent) *b.end++ = (ksr_event){(uint16_t)i, (int16_t)(sent * (1 << r->h_shift))};
  }
  ksr_recurrent_start_sums(r);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i16(r, ksr_recurrent_input(r, step, sizeof(int16_t)), b.acc);
    ksr_add_events(&r->recurrent_kernel, b.events, b.end, b.acc);
    ksr_recurrent_scale_outputs(r, 0, 3 + gru->reset_gate, b.acc);
    update(gru, &b, ksr_recurrent_output(r, step, sizeof(int16_t)));
  }
  if (!y) return;
  memset(y, 0, (uint32_t)r->units * sizeof(int16_t));
  for (const ksr_event *e = b.events; e < b.end; ++e) y[e->source] = (int16_t)(e->value >> r->h_shift);
}
