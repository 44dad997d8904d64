/* Gates of any activations, in integers: rows of them. */
#ifndef KSR_GATES_OTHER_H_
#define KSR_GATES_OTHER_H_

#include "gates_i16.h"

enum { KSR_GATES_AT_ONCE = 32 };

/* From accumulators to pre-activations. */
static inline void ksr_pre_activations(const ksr_gates *gates, int32_t slot, const int32_t *acc, int32_t count,
                                       int32_t *values) {
  for (int32_t i = 0; i < count; ++i) values[i] = ksr_multiply(acc[i], gates->multiplier[slot]);
}

/* From accumulators to gates, Q(15 - gate_bits). */
static inline void ksr_make_gates(const ksr_gates *gates, int32_t slot, const int32_t *acc, int32_t count,
                                  int32_t *values) {
  ksr_pre_activations(gates, slot, acc, count, values);
  gates->activations.recurrent_activation(values, count, gates->to_tanh, gates->activations.gate_bits);
}

/* From pre-activations to candidates, Q(15 - state_bits). */
static inline void ksr_make_candidates(const ksr_gates *gates, int32_t count, int32_t *values) {
  gates->activations.activation(values, count, gates->to_tanh, gates->activations.state_bits);
}

static inline int32_t ksr_saturate_i16(int32_t value) { return ksr_saturate(value, INT16_MIN, INT16_MAX); }

/* A gate times a state. */
static inline int32_t ksr_times(int32_t gate, int32_t value, int32_t gate_bits) {
  return ksr_saturate_i16((gate * value + (1 << (14 - gate_bits))) >> (15 - gate_bits));
}

static inline int32_t ksr_smaller(int32_t a, int32_t b) { return a < b ? a : b; }

#endif /* KSR_GATES_OTHER_H_ */
