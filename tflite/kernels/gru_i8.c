#include <string.h>

#include "gates_i8.h"
#include "gru_steps.h"

static void add_state(const ksr_gru_node *gru, const int16_t *h, int32_t *acc) {
  const ksr_recurrent_options *o = &gru->recurrent.options;
  for (int32_t j = 0; j < o->units; ++j) {
    const int32_t operand = ksr_operand_i8(o, h[j]);
    if (operand) ksr_matrix_add_i8(&gru->recurrent.recurrent_kernel, j, operand * (1 << o->h_shift), acc);
  }
}

/* Reset before the product: the candidate reads r * h. */
static void add_reset_state(const ksr_gru_node *gru, const int16_t *h, int32_t *acc) {
  const ksr_recurrent_options *o = &gru->recurrent.options;
  const int32_t *r_acc = acc + gru->recurrent.stride;
  int32_t *y_acc = acc + 3 * gru->recurrent.stride;
  for (int32_t j = 0; j < o->units; ++j) {
    const int32_t operand = ksr_operand_i8(o, (ksr_sigmoid_i8(o, 1, r_acc[j]) * h[j] + (1 << 14)) >> 15);
    if (operand) ksr_matrix_add_i8(&gru->candidate_kernel, j, operand * (1 << o->h_shift), y_acc);
  }
}

static void update(const ksr_gru_node *gru, const int32_t *acc, int16_t *h, int8_t *output) {
  const ksr_recurrent_options *o = &gru->recurrent.options;
  const int32_t stride = gru->recurrent.stride;
  const int32_t *z_acc = acc, *r_acc = z_acc + stride, *x_acc = r_acc + stride, *y_acc = x_acc + stride;
  for (int32_t i = 0; i < o->units; ++i) {
    const int32_t z = ksr_sigmoid_i8(o, 0, z_acc[i]);
    const int32_t r = gru->options.reset_after ? ksr_sigmoid_i8(o, 1, r_acc[i]) : KSR_Q15_ONE;
    h[i] = (int16_t)ksr_gru_unit_i8(o, z, r, x_acc[i], y_acc[i], h[i]);
    if (output) output[i] = ksr_output_i8(o, h[i]);
  }
}

void ksr_gru_run_i8(const ksr_gru_node *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  int32_t *acc = scratch;
  int16_t *h = gru->h ? gru->h : (int16_t *)(acc + KSR_SLOTS * r->stride);
  if (!gru->h) memset(h, 0, (uint32_t)r->options.units * sizeof(int16_t));
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), acc);
    add_state(gru, h, acc);
    if (!gru->options.reset_after) add_reset_state(gru, h, acc);
    update(gru, acc, h, ksr_recurrent_output(r, step));
  }
}
