/* Where the accumulators of a GRU in integers lie. */
#ifndef KSR_GRU_ACCUMULATORS_H_
#define KSR_GRU_ACCUMULATORS_H_

#include "ksr_gru_layer.h"
#include "recurrent.h"

/* Where everything is held that a step multiplies, it needs nothing but the sums. */
static inline int32_t *ksr_gru_accumulators(const ksr_gru_layer *gru, void *scratch) {
  const ksr_recurrent *r = &gru->recurrent;
  const int holds_all = KSR_WITH_HOLDS && r->hidden_threshold &&
                        (gru->reset_gate != KSR_RESET_BEFORE || gru->reset_threshold);
  return holds_all && !r->output_scales && !gru->deep ? r->sums : scratch;
}

/* Where the middle of kernels of low rank lies: behind the state, in values of its size. */
static inline void *ksr_gru_middle(const ksr_gru_layer *gru, void *scratch) {
  const uint32_t size = (uint32_t)(gru->recurrent.is_integer ? sizeof(int16_t) : sizeof(float));
  return (uint8_t *)scratch + ksr_recurrent_scratch(&gru->recurrent) + size * (uint32_t)gru->recurrent.units;
}

/* Where the sums of the state's factor lie. */
static inline int32_t ksr_gru_state_part(const ksr_gru_layer *gru) {
  return gru->recurrent_rank ? gru->input_factor_kernel.stride : 0;
}

/* The matrix that a further micro-layer reads the state with. */
static inline ksr_matrix ksr_gru_deep_kernel(const ksr_gru_layer *gru, int32_t number) {
  ksr_matrix matrix = gru->deep_kernel;
  const int32_t units = gru->recurrent.units, first = number * units;
  const size_t width = gru->recurrent.is_integer ? sizeof(int8_t) : sizeof(float);
  const size_t row = width * (size_t)(matrix.slots.gates * matrix.stride) / (matrix.weight_bits ? 2 : 1);
  matrix.sources = units;
  if (matrix.rows16) matrix.rows16 += first;
  if (matrix.rows32) matrix.rows32 += first;
  if (!matrix.index) matrix.values = (const uint8_t *)matrix.values + (size_t)first * row;
  return matrix;
}

/* What its accumulators start from: words, int32 or float32. */
static inline const void *ksr_gru_deep_bias(const ksr_gru_layer *gru, int32_t number) {
  return (const int32_t *)gru->deep_bias + (size_t)number * KSR_SLOTS * (size_t)gru->recurrent.stride;
}

#endif /* KSR_GRU_ACCUMULATORS_H_ */
