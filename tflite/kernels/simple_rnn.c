#include "ksr_simple_rnn.h"

#include <string.h>

#include "gates_i8.h"
#include "simple_rnn_steps.h"
#if KSR_WITH_INT16
#include "gates_i16.h"
#endif
#if KSR_WITH_FLOAT32
#include "gates_f32.h"
#endif

uint32_t ksr_simple_rnn_state_size(const ksr_recurrent *r) {
  const uint32_t size = r->is_int16 ? sizeof(int16_t) : r->is_int8 ? sizeof(int8_t) : sizeof(float);
  return (uint32_t)r->options.units * size;
}

void ksr_simple_rnn_set_up(const ksr_node *node, void *data) {
  const ksr_slots kernel = KSR_SIMPLE_RNN_KERNEL_SLOTS, recurrent_kernel = KSR_SIMPLE_RNN_RECURRENT_KERNEL_SLOTS;
  ksr_simple_rnn_node *rnn = data;
  ksr_recurrent *r = &rnn->recurrent;
  ksr_recurrent_set_up(r, node, 0, 0, KSR_SIMPLE_RNN_SHARED_INPUTS);
  r->kernel = ksr_recurrent_matrix(r, node, KSR_KERNEL, kernel);
  r->recurrent_kernel = ksr_recurrent_matrix(r, node, KSR_RECURRENT_KERNEL, recurrent_kernel);
  if (r->is_int8) rnn->gates = ksr_gates_of(&r->options);
}

static void step_i8(const ksr_simple_rnn_node *rnn, int32_t step, int8_t *h, int32_t *acc) {
  const ksr_recurrent *r = &rnn->recurrent;
  const ksr_gates gates = rnn->gates;
  const int32_t units = r->options.units;
  int8_t *output = ksr_recurrent_output(r, step);
  ksr_recurrent_start_i8(r, ksr_recurrent_input(r, step), acc);
  ksr_recurrent_add_i8(r, h, acc);
  ksr_recurrent_scale_outputs(r, 0, 1, acc);
  for (int32_t i = 0; i < units; ++i) {
    const int32_t hidden = ksr_look_up(ksr_tanh_table, ksr_multiply(acc[i], gates.multiplier[0]));
    h[i] = (int8_t)ksr_operand_i8(&gates, hidden);
    if (output) output[i] = ksr_output_i8(&gates, hidden);
  }
}

#if KSR_WITH_INT16
static void step_i16(const ksr_simple_rnn_node *rnn, int32_t step, int16_t *h, int32_t *acc) {
  const ksr_recurrent *r = &rnn->recurrent;
  const ksr_gates gates = rnn->gates;
  int16_t *output = ksr_recurrent_output(r, step);
  ksr_recurrent_start_i16(r, ksr_recurrent_input(r, step), acc);
  ksr_recurrent_add_i16(r, h, acc);
  ksr_recurrent_scale_outputs(r, 0, 1, acc);
  for (int32_t i = 0; i < r->options.units; ++i) {
    const int32_t hidden = ksr_tanh_i16(&gates, 0, acc[i], gates.to_tanh);
    h[i] = (int16_t)ksr_saturate_bits(ksr_rescale(hidden, gates.operand), r->options.operand_bits);
    if (output) output[i] = ksr_output_i16(&gates, hidden);
  }
}
#endif

#if KSR_WITH_FLOAT32
static void step_f32(const ksr_recurrent *r, int32_t step, float *h, float *acc) {
  float *output = ksr_recurrent_output(r, step);
  ksr_recurrent_start_f32(r, ksr_recurrent_input(r, step), acc);
  ksr_matrix_add_vector_f32(&r->recurrent_kernel, h, acc);
  ksr_tanhs_f32(acc, h, r->options.units);
  if (output) memcpy(output, h, (uint32_t)r->options.units * sizeof(float));
}
#endif

void ksr_simple_rnn_invoke(const ksr_node *node, void *data, void *scratch) {
  ksr_simple_rnn_node *rnn = data;
  ksr_recurrent *r = &rnn->recurrent;
  for (int32_t sample = 0; sample < r->samples; ++sample) {
    ksr_recurrent_begin(r, node, sample, scratch);
    void *h = ksr_state_of(node, sample, KSR_SIMPLE_RNN_H);
    if (!h) h = memset((uint8_t *)scratch + ksr_recurrent_scratch(r), 0, ksr_simple_rnn_state_size(r));
    for (int32_t step = 0; step < r->steps; ++step) {
#if KSR_WITH_INT16
      if (r->is_int16) step_i16(rnn, step, h, scratch);
#endif
      if (r->is_int8 && !r->is_int16) step_i8(rnn, step, h, scratch);
#if KSR_WITH_FLOAT32
      if (!r->is_int8) step_f32(r, step, h, scratch);
#endif
    }
  }
}
