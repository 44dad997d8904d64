/* Gates in integers: from accumulators to Q15. */
#ifndef KSR_GATES_I8_H_
#define KSR_GATES_I8_H_

#include "ksr_gates.h"
#include "ksr_tables.h"
#include "target.h"

enum { KSR_Q15_ONE = 1 << 15 };

static inline int32_t ksr_saturate(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

static inline int32_t ksr_saturate_i8(int32_t value) {
#ifdef KSR_SATURATES
  __asm__("ssat %0, #8, %1" : "=r"(value) : "r"(value));
  return value;
#else
  return ksr_saturate(value, INT8_MIN, INT8_MAX);
#endif
}

static inline int32_t ksr_saturate_u8(int32_t value) {
#ifdef KSR_SATURATES
  __asm__("usat %0, #8, %1" : "=r"(value) : "r"(value));
  return value;
#else
  return ksr_saturate(value, 0, UINT8_MAX);
#endif
}

static inline int32_t ksr_rescale(int32_t value, ksr_rescaling by) {
  return (value * by.multiplier + (1 << (by.shift - 1))) >> by.shift;
}

/* (a * b) >> 16, b at most 2^15 in magnitude. */
static inline int32_t ksr_product_over_16(int32_t a, int32_t b) {
#ifdef KSR_SHORT_PRODUCT
  return (a >> 16) * b + (((int32_t)(uint16_t)a * b) >> 16);
#else
  return (int32_t)(((int64_t)a * b) >> 16);
#endif
}

#ifdef KSR_SHORT_PRODUCT
KSR_INLINE int32_t ksr_multiply(int32_t acc, ksr_multiplier by) {
  return ksr_product_over_16(acc, by.factor) >> by.shift;
}
#else
KSR_INLINE int32_t ksr_multiply(int32_t acc, ksr_multiplier by) { return (int32_t)(((int64_t)acc * by) >> 32); }
#endif

/* Entry 512 + k, and the one behind it. */
#if KSR_SMALL
KSR_INLINE int32_t ksr_entry(ksr_table table, int32_t k) {
  const int32_t entry = ksr_half_table[k < 0 ? -k : k];
  const int32_t distance = table == ksr_sigmoid_table ? entry >> 2 : (entry - 1) >> 1;
  return (table == ksr_sigmoid_table ? 1 << 14 : 0) + (k < 0 ? -distance : distance);
}

KSR_INLINE int32_t ksr_entry_behind(ksr_table table, int32_t k) { return ksr_entry(table, k < 511 ? k + 1 : 511); }
#else
KSR_INLINE int32_t ksr_entry(ksr_table table, int32_t k) { return table[512 + k]; }
KSR_INLINE int32_t ksr_entry_behind(ksr_table table, int32_t k) { return table[513 + k]; }
#endif

KSR_INLINE int32_t ksr_look_up(ksr_table table, int32_t k) {
#ifdef KSR_SATURATES
  __asm__("ssat %0, #10, %1" : "=r"(k) : "r"(k));
#else
  if (KSR_RARELY((uint32_t)(k + 512) > 1023)) k = k < 0 ? -512 : 511;
#endif
  return ksr_entry(table, k);
}

KSR_INLINE int32_t ksr_sigmoid_i8(const ksr_gates *gates, int32_t slot, int32_t acc) {
  return ksr_look_up(ksr_sigmoid_table, ksr_multiply(acc, gates->multiplier[slot]));
}

/* z * before + (1 - z) * g */
KSR_INLINE int32_t ksr_mix(int32_t z, int32_t before, int32_t g) {
  return g + ((z * (before - g) + (1 << 14)) >> 15);
}

/* That with g = tanh(x + r * y), of one unit's accumulators x and y. */
KSR_INLINE int32_t ksr_gru_unit_i8(const ksr_gates *gates, int32_t z, int32_t r, int32_t x_acc, int32_t y_acc,
                                      int32_t before) {
  const int32_t x = ksr_multiply(x_acc, gates->multiplier[2]), y = ksr_multiply(y_acc, gates->multiplier[3]);
  return ksr_mix(z, before, ksr_look_up(ksr_tanh_table, (x + ksr_product_over_16(y, r)) >> gates->to_tanh));
}

/* A state as the recurrence reads it, and as the output tensor holds it. */
static inline int32_t ksr_operand_i8(const ksr_gates *gates, int32_t q15) {
  return ksr_saturate_i8(ksr_rescale(q15, gates->operand));
}

static inline int8_t ksr_output_i8(const ksr_gates *gates, int32_t q15) {
  return (int8_t)ksr_saturate_i8(ksr_rescale(q15, gates->output) + gates->output_zero_point);
}

#endif /* KSR_GATES_I8_H_ */
