#include <string.h>

#include "event_gru_steps.h"
#include "gates_i8.h"

typedef struct buffers {
  int32_t *acc;
  int16_t *c;
  int16_t *trace;        /* NULL unless it is read out */
  uint16_t *event_index; /* the units that fired in the step before, and what they sent */
  uint8_t *event_value;
  int32_t event_count;
} buffers;

static buffers place(const ksr_event_gru_node *gru, uint8_t *scratch, uint32_t *size) {
  const uint32_t units = (uint32_t)gru->recurrent.options.units;
  const uint32_t state_size = ksr_aligned(units * sizeof(int16_t));
  buffers b = {0};
  uint32_t used = 0;
  b.acc = (int32_t *)(void *)(scratch + used);
  used += ksr_accumulators_size(&gru->recurrent);
  b.event_index = (uint16_t *)(void *)(scratch + used);
  used += state_size;
  b.c = gru->c;
  if (!b.c) {
    b.c = (int16_t *)(void *)(scratch + used);
    used += state_size;
  }
  if (gru->options.readout == KSR_READOUT_TRACE) {
    b.trace = gru->trace;
    if (!b.trace) {
      b.trace = (int16_t *)(void *)(scratch + used);
      used += state_size;
    }
  }
  b.event_value = scratch + used;
  used += units;
  *size = used;
  return b;
}

uint32_t ksr_event_gru_scratch_i8(const ksr_event_gru_node *gru) {
  static uint8_t nothing[1];
  ksr_event_gru_node stateless = *gru;
  uint32_t size;
  /* While preparing, state tensors have no data yet: count as if there were none. */
  stateless.y = stateless.c = stateless.trace = 0;
  place(&stateless, nothing, &size);
  return size;
}

static void start(const ksr_event_gru_node *gru, buffers *b) {
  const int32_t units = gru->recurrent.options.units;
  const int8_t *y = gru->y;
  b->event_count = 0;
  for (int32_t i = 0; y && i < units; ++i) {
    if (y[i] == -128) continue;
    b->event_index[b->event_count] = (uint16_t)i;
    b->event_value[b->event_count++] = (uint8_t)(y[i] + 128);
  }
  if (!gru->c) memset(b->c, 0, (uint32_t)units * sizeof(int16_t));
  if (b->trace && !gru->trace) memset(b->trace, 0, (uint32_t)units * sizeof(int16_t));
}

static void finish(const ksr_event_gru_node *gru, const buffers *b) {
  int8_t *y = gru->y;
  if (!y) return;
  memset(y, -128, (uint32_t)gru->recurrent.options.units);
  for (int32_t k = 0; k < b->event_count; ++k) y[b->event_index[k]] = (int8_t)(b->event_value[k] - 128);
}

/* Gates, state and events of all units. `output` is NULL where this step is not read. */
static void update(const ksr_event_gru_node *gru, buffers *b, int8_t *output) {
  const ksr_event_gru_options *o = &gru->options;
  const ksr_recurrent_options *common = &o->recurrent;
  const int32_t stride = gru->recurrent.stride;
  const int32_t *z_acc = b->acc, *r_acc = z_acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  const int16_t *threshold = gru->threshold;
  const int32_t trace_rate = o->trace_rate >> 16;
  int32_t event_count = 0;
  for (int32_t i = 0; i < common->units; ++i) {
    const int32_t z = ksr_sigmoid_i8(common, 0, z_acc[i]), r = ksr_sigmoid_i8(common, 1, r_acc[i]);
    int32_t c = ksr_gru_unit_i8(common, z, r, x_acc[i], y_acc[i], b->c[i]);
    int32_t y = 0;
    if (c > threshold[i]) {
      y = c;
      const int32_t sent = ksr_saturate(ksr_rescale(y, common->operand), 0, UINT8_MAX);
      if (sent) {
        b->event_index[event_count] = (uint16_t)i;
        b->event_value[event_count++] = (uint8_t)sent;
      }
      if (o->reset) c -= threshold[i];
    }
    b->c[i] = (int16_t)c;
    if (b->trace) b->trace[i] = (int16_t)(b->trace[i] + (((y - b->trace[i]) * trace_rate + (1 << 14)) >> 15));
    if (output) {
      const int32_t read = o->readout == KSR_READOUT_EVENT ? y : o->readout == KSR_READOUT_CELL ? c : b->trace[i];
      output[i] = ksr_output_i8(common, read);
    }
  }
  b->event_count = event_count;
}

void ksr_event_gru_run_i8(const ksr_event_gru_node *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  uint32_t size;
  buffers b = place(gru, scratch, &size);
  start(gru, &b);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), b.acc);
    for (int32_t k = 0; k < b.event_count; ++k) {
      ksr_matrix_add_i8(&r->recurrent_kernel, b.event_index[k], b.event_value[k] * (1 << r->options.h_shift), b.acc);
    }
    update(gru, &b, ksr_recurrent_output(r, step));
  }
  finish(gru, &b);
}
