/* Gates of models with int16 activations: as in gates_i8.h, with tables that are interpolated. */
#ifndef KSR_GATES_I16_H_
#define KSR_GATES_I16_H_

#include "gates_i8.h"

/* Between the entries of a table, `bits` below its index; beyond its ends, the ends hold. */
static inline int32_t ksr_interpolate(const int16_t *table, int32_t value, int32_t bits) {
  const int32_t end = 511 * (1 << bits);
  value = ksr_saturate(value, -512 * (1 << bits), end);
  const int16_t *at = table + 512 + (value >> bits);
  return at[0] + (((at[value < end] - at[0]) * (value & ((1 << bits) - 1))) >> bits);
}

static inline int32_t ksr_sigmoid_i16(const ksr_gates *gates, int32_t slot, int32_t acc) {
  return ksr_interpolate(ksr_sigmoid_table, ksr_multiply(acc, gates->multiplier[slot]), gates->to_tanh);
}

static inline int32_t ksr_tanh_i16(const ksr_gates *gates, int32_t slot, int32_t acc) {
  return ksr_interpolate(ksr_tanh_table, ksr_multiply(acc, gates->multiplier[slot]), gates->to_tanh);
}

/* z * before + (1 - z) * g, with g = tanh(x + r * y), of one unit's accumulators x and y. */
static inline int32_t ksr_gru_unit_i16(const ksr_gates *gates, int32_t z, int32_t r, int32_t x_acc, int32_t y_acc,
                                       int32_t before) {
  const int32_t x = ksr_multiply(x_acc, gates->multiplier[2]), y = ksr_multiply(y_acc, gates->multiplier[3]);
  const int32_t g = ksr_interpolate(ksr_tanh_table, x + ksr_product_over_16(y, r), gates->to_tanh);
  return g + ((z * (before - g) + (1 << 14)) >> 15);
}

/* What has `bits`, one of them for the sign. */
static inline int32_t ksr_saturate_bits(int32_t value, int32_t bits) {
  return ksr_saturate(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1);
}

static inline int16_t ksr_output_i16(const ksr_gates *gates, int32_t q15) {
  return (int16_t)ksr_saturate(ksr_rescale(q15, gates->output), INT16_MIN, INT16_MAX);
}

#endif /* KSR_GATES_I16_H_ */
