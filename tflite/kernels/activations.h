/* Building blocks of the integer activation functions. */
#ifndef KSR_KERNELS_ACTIVATIONS_H_
#define KSR_KERNELS_ACTIVATIONS_H_

#include "gates_i16.h"

/* From Q(7 + more) to Q(15 - bits), with left = 8 - bits - more; saturated to 17 bits. */
static inline int32_t ksr_shifted(int32_t value, int32_t left) {
  if (left < 0) return ksr_saturate((value + (1 << (-left - 1))) >> -left, -65536, 65535);
  return ksr_saturate(value, -65536 >> left, 65535 >> left) * (1 << left);
}

static inline int32_t ksr_saturate_state(int32_t value) { return ksr_saturate(value, -INT16_MAX, INT16_MAX); }

static inline int32_t ksr_of_q15(int32_t q15, int32_t bits) {
  return ksr_saturate_state((q15 + ((1 << bits) >> 1)) >> bits);
}

/* The sigmoid of a value in Q(7 + more), in Q15, at most 2^15 - 2. */
static inline int32_t ksr_hard_sigmoid(int32_t value, int32_t more) {
  enum { SIXTH = 10922 }; /* Q16, rounded down so that the product fits */
  const int32_t one = 1 << (7 + more);
  return (ksr_saturate(value + 3 * one, 0, 6 * one) * SIXTH + one) >> (8 + more);
}

/* max(value, 0) minus a rest in Q15. */
static inline int32_t ksr_less(int32_t value, int32_t q15, int32_t more, int32_t bits) {
  const int32_t linear = value > 0 ? ksr_shifted(value, 8 - bits - more) : 0;
  return ksr_saturate_state(linear - ((q15 + ((1 << bits) >> 1)) >> bits));
}

/* Interpolates in a table of 1026 entries at a value >= 0. */
static inline int32_t ksr_fall(const int16_t *table, int32_t value, int32_t more) {
  value = value < 1024 << more ? value : 1024 << more;
  const int16_t *at = table + (value >> more);
  return at[0] + (((at[1] - at[0]) * (value & ((1 << more) - 1))) >> more);
}

#endif /* KSR_KERNELS_ACTIVATIONS_H_ */
