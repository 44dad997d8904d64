#include "ksr_masked.h"

#include <string.h>

#include "recurrent.h"

/* A sequence of which some steps are left out; steps are counted in the order of computation. */
typedef struct sequence {
  const uint8_t *x, *mask;
  uint8_t *last_output; /* NULL: 0 */
  uint8_t *output; /* NULL: not asked for */
  int32_t steps, go_backwards, return_sequences;
  size_t input_bytes, output_bytes;
} sequence;

static int32_t time_of(const sequence *s, int32_t step) { return s->go_backwards ? s->steps - 1 - step : step; }

/* Where the output of a step is in the output tensor. */
static uint8_t *output_of(const sequence *s, int32_t step) {
  const int32_t place = s->go_backwards == KSR_BACKWARDS_IN_ORDER ? time_of(s, step) : step;
  return s->output + (s->return_sequences ? (size_t)place * s->output_bytes : 0);
}

/* How many steps from one on are all left out, or all not. */
static int32_t alike(const sequence *s, int32_t step) {
  int32_t end = step + 1;
  while (end < s->steps && !s->mask[time_of(s, end)] == !s->mask[time_of(s, step)]) ++end;
  return end - step;
}

static void run_steps(const sequence *s, ksr_recurrent *layer, int32_t step, int32_t count) {
  const int32_t last = step + count - 1, first_time = time_of(s, s->go_backwards ? last : step);
  layer->x = s->x + (size_t)first_time * s->input_bytes;
  layer->steps = count;
  if (s->output) layer->output = output_of(s, s->go_backwards == KSR_BACKWARDS_IN_ORDER ? last : step);
}

static void leave_out(const sequence *s, int32_t step, int32_t count, int32_t zero_output, int zero) {
  for (; count; --count, ++step) {
    uint8_t *output = output_of(s, step);
    if (!zero_output && !step && s->last_output) {
      memcpy(output, s->last_output, s->output_bytes);
    } else if (zero_output || !step) {
      memset(output, zero, s->output_bytes);
    } else if (s->return_sequences) {
      memcpy(output, output_of(s, step - 1), s->output_bytes);
    }
  }
}

void ksr_run_masked(void *layer, void (*run)(const void *layer, void *scratch), const void *mask, void *last_output,
                    int32_t zero_output, int32_t output_zero_point, void *scratch) {
  ksr_recurrent *r = layer;
  const sequence s = {.x = r->x,
                      .mask = mask,
                      .last_output = last_output,
                      .output = r->output,
                      .steps = r->steps,
                      .go_backwards = r->go_backwards,
                      .return_sequences = r->return_sequences,
                      .input_bytes = ksr_bytes_of(r, (size_t)r->inputs),
                      .output_bytes = ksr_bytes_of(r, (size_t)r->units)};
  const int zero = r->is_integer && !r->is_int16 ? output_zero_point : 0;
  for (int32_t step = 0, count; step < s.steps; step += count) {
    count = alike(&s, step);
    if (s.mask[time_of(&s, step)]) {
      run_steps(&s, r, step, count);
      run(layer, scratch);
    } else if (s.output) {
      leave_out(&s, step, count, zero_output, zero);
    }
  }
  if (s.last_output && s.output) memcpy(s.last_output, output_of(&s, s.steps - 1), s.output_bytes);
  r->x = s.x;
  r->output = s.output;
  r->steps = s.steps;
}
