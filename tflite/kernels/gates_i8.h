/* Gates in integers: from accumulators to Q15. */
#ifndef KSR_GATES_I8_H_
#define KSR_GATES_I8_H_

#include "ksr_recurrent.h"
#include "ksr_tables.h"

enum { KSR_Q15_ONE = 1 << 15 };

static inline int32_t ksr_saturate(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

static inline int32_t ksr_rescale(int32_t value, ksr_rescaling by) {
  return (value * by.multiplier + (1 << (by.shift - 1))) >> by.shift;
}

/* The pre-activation of an accumulator of `slot`, in Q(fraction). */
static inline int32_t ksr_pre_activation(const ksr_recurrent_options *o, int32_t slot, int32_t acc) {
  return (int32_t)(((int64_t)acc * o->multiplier[slot]) >> 32);
}

static inline int32_t ksr_look_up(const int16_t *table, int32_t k) { return table[512 + ksr_saturate(k, -512, 511)]; }

static inline int32_t ksr_sigmoid_i8(const ksr_recurrent_options *o, int32_t slot, int32_t acc) {
  return ksr_look_up(ksr_sigmoid_table, ksr_pre_activation(o, slot, acc) >> (o->fraction - 6));
}

/* tanh of a pre-activation. */
static inline int32_t ksr_tanh_i8(const ksr_recurrent_options *o, int32_t value) {
  return ksr_look_up(ksr_tanh_table, value >> (o->fraction - 7));
}

/* z * before + (1 - z) * g, with g = tanh(x + r * y), of one unit's accumulators x and y. */
static inline int32_t ksr_gru_unit_i8(const ksr_recurrent_options *o, int32_t z, int32_t r, int32_t x_acc,
                                      int32_t y_acc, int32_t before) {
  const int32_t y = ksr_saturate(ksr_pre_activation(o, 3, y_acc), INT16_MIN, INT16_MAX);
  const int32_t g = ksr_tanh_i8(o, ksr_pre_activation(o, 2, x_acc) + ((r * y) >> 15));
  return g + ((z * (before - g) + (1 << 14)) >> 15);
}

/* A state as the recurrence reads it, and as the output tensor holds it. */
static inline int32_t ksr_operand_i8(const ksr_recurrent_options *o, int32_t q15) {
  return ksr_saturate(ksr_rescale(q15, o->operand), INT8_MIN, INT8_MAX);
}

static inline int8_t ksr_output_i8(const ksr_recurrent_options *o, int32_t q15) {
  return (int8_t)ksr_saturate(ksr_rescale(q15, o->output) + o->output_zero_point, INT8_MIN, INT8_MAX);
}

#endif /* KSR_GATES_I8_H_ */
