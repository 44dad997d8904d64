/* Gates of models with int16 activations: as in gates_i8.h, with tables that are interpolated. */
#ifndef KSR_GATES_I16_H_
#define KSR_GATES_I16_H_

#include "gates_i8.h"

enum { KSR_USUAL_BITS = 8 }; /* of an index, below its entry */

/* Between the entries of a table, `bits` below its index; beyond its ends, the ends hold. */
static inline int32_t ksr_interpolate(ksr_table table, int32_t value, int32_t bits) {
#ifdef KSR_SATURATES
  if (__builtin_constant_p(bits) && bits == KSR_USUAL_BITS) {
    __asm__("ssat %0, #18, %1" : "=r"(value) : "r"(value));
  } else
#endif
  {
    value = ksr_saturate(value, -512 * (1 << bits), 512 * (1 << bits) - 1);
  }
  const int32_t k = value >> bits, from = ksr_entry(table, k), to = ksr_entry_behind(table, k);
  return from + (((to - from) * (value & ((1 << bits) - 1))) >> bits);
}

static inline int32_t ksr_sigmoid_i16(const ksr_gates *gates, int32_t slot, int32_t acc, int32_t bits) {
  return ksr_interpolate(ksr_sigmoid_table, ksr_multiply(acc, gates->multiplier[slot]), bits);
}

static inline int32_t ksr_tanh_i16(const ksr_gates *gates, int32_t slot, int32_t acc, int32_t bits) {
  return ksr_interpolate(ksr_tanh_table, ksr_multiply(acc, gates->multiplier[slot]), bits);
}

/* What has `bits`, one of them for the sign. */
static inline int32_t ksr_saturate_bits(int32_t value, int32_t bits) {
  return ksr_saturate(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1);
}

static inline int16_t ksr_output_i16(const ksr_gates *gates, int32_t q15) {
  return (int16_t)ksr_saturate(ksr_rescale(q15, gates->output), INT16_MIN, INT16_MAX);
}

#endif /* KSR_GATES_I16_H_ */
