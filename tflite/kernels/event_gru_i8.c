#include <string.h>

#include "event_gru_steps.h"
#include "ksr_tables.h"

typedef struct buffers {
  int32_t *acc;          /* 4 slots of stride */
  int16_t *c;
  int16_t *trace;        /* NULL unless it is read out */
  uint16_t *event_index; /* the units that fired in the step before, and what they sent */
  uint8_t *event_value;
  int32_t event_count;
} buffers;

static uint32_t aligned(uint32_t size) { return (size + 3u) & ~3u; }

static buffers place(const ksr_event_gru_node *gru, uint8_t *scratch, uint32_t *size) {
  const uint32_t units = (uint32_t)gru->options.units;
  const uint32_t acc_size = 4u * (uint32_t)gru->stride * sizeof(int32_t);
  const uint32_t state_size = aligned(units * sizeof(int16_t));
  buffers b = {0};
  uint32_t used = 0;
  b.acc = (int32_t *)(void *)(scratch + used);
  used += acc_size;
  b.event_index = (uint16_t *)(void *)(scratch + used);
  used += state_size;
  b.c = gru->state_c;
  if (!b.c) {
    b.c = (int16_t *)(void *)(scratch + used);
    used += state_size;
  }
  if (gru->options.readout == KSR_READOUT_TRACE) {
    b.trace = gru->state_trace;
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
  stateless.state_y = stateless.state_c = stateless.state_trace = 0;
  place(&stateless, nothing, &size);
  return size;
}

static void start(const ksr_event_gru_node *gru, buffers *b) {
  const int32_t units = gru->options.units;
  const int8_t *y = gru->state_y;
  b->event_count = 0;
  for (int32_t i = 0; y && i < units; ++i) {
    if (y[i] == -128) continue;
    b->event_index[b->event_count] = (uint16_t)i;
    b->event_value[b->event_count++] = (uint8_t)(y[i] + 128);
  }
  if (!gru->state_c) memset(b->c, 0, (uint32_t)units * sizeof(int16_t));
  if (b->trace && !gru->state_trace) memset(b->trace, 0, (uint32_t)units * sizeof(int16_t));
}

static void finish(const ksr_event_gru_node *gru, const buffers *b) {
  int8_t *y = gru->state_y;
  if (!y) return;
  memset(y, -128, (uint32_t)gru->options.units);
  for (int32_t k = 0; k < b->event_count; ++k) y[b->event_index[k]] = (int8_t)(b->event_value[k] - 128);
}

static void accumulate(const ksr_event_gru_node *gru, buffers *b, const int8_t *x) {
  const ksr_event_gru_options *o = &gru->options;
  memcpy(b->acc, gru->bias, 4u * (uint32_t)gru->stride * sizeof(int32_t));
  for (int32_t j = 0; j < gru->inputs; ++j) {
    const int32_t value = x[j] - o->x_zero_point;
    if (value) ksr_matrix_add_i8(&gru->kernel, j, value * (1 << o->x_shift), b->acc);
  }
  for (int32_t k = 0; k < b->event_count; ++k) {
    ksr_matrix_add_i8(&gru->recurrent_kernel, b->event_index[k], b->event_value[k] * (1 << o->y_shift), b->acc);
  }
}

static int32_t high_word(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 32); }

static int32_t saturate(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

static int32_t look_up(const int16_t *table, int32_t k) { return table[512 + saturate(k, -512, 511)]; }

static int32_t rescale(int32_t q15, int32_t multiplier, int32_t shift) {
  return (q15 * multiplier + (1 << (shift - 1))) >> shift;
}

/* Gates, state and events of all units. `output` is NULL where this step is not read. */
static void update(const ksr_event_gru_node *gru, buffers *b, int8_t *output) {
  const ksr_event_gru_options *o = &gru->options;
  const int32_t *z_acc = b->acc, *r_acc = z_acc + gru->stride, *x_acc = r_acc + gru->stride, *y_acc = x_acc + gru->stride;
  const int16_t *threshold = gru->threshold;
  const int32_t sigmoid_shift = o->fraction - 6, tanh_shift = o->fraction - 7;
  const int32_t trace_rate = o->trace_rate >> 16;
  int32_t event_count = 0;
  for (int32_t i = 0; i < o->units; ++i) {
    const int32_t z = look_up(ksr_sigmoid_table, high_word(z_acc[i], o->multiplier[0]) >> sigmoid_shift);
    const int32_t r = look_up(ksr_sigmoid_table, high_word(r_acc[i], o->multiplier[1]) >> sigmoid_shift);
    const int32_t q = saturate(high_word(y_acc[i], o->multiplier[3]), INT16_MIN, INT16_MAX);
    const int32_t candidate = high_word(x_acc[i], o->multiplier[2]) + ((r * q) >> 15);
    const int32_t g = look_up(ksr_tanh_table, candidate >> tanh_shift);
    int32_t c = g + ((z * (b->c[i] - g) + (1 << 14)) >> 15);
    int32_t y = 0;
    if (c > threshold[i]) {
      y = c;
      const int32_t sent = saturate(rescale(y, o->event_multiplier, o->event_shift), 0, 255);
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
      const int32_t out = rescale(read, o->output_multiplier, o->output_shift) + o->output_zero_point;
      output[i] = (int8_t)saturate(out, -128, 127);
    }
  }
  b->event_count = event_count;
}

void ksr_event_gru_run_i8(const ksr_event_gru_node *gru, void *scratch) {
  const ksr_event_gru_options *o = &gru->options;
  uint32_t size;
  buffers b = place(gru, scratch, &size);
  start(gru, &b);
  for (int32_t step = 0; step < gru->steps; ++step) {
    const int32_t t = o->go_backwards ? gru->steps - 1 - step : step;
    int8_t *output = gru->output;
    if (o->return_sequences) {
      output += step * o->units;
    } else if (step < gru->steps - 1) {
      output = 0;
    }
    accumulate(gru, &b, (const int8_t *)gru->x + t * gru->inputs);
    update(gru, &b, output);
  }
  finish(gru, &b);
}
