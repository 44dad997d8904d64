/* Products with matrices however they are stored. */
#ifndef KSR_MULTIPLY_ANY_H_
#define KSR_MULTIPLY_ANY_H_

#include "add_events.h"
#include "multiply.h"

/* Those for sources that all act. */
static inline void ksr_multiply_by_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                      int32_t shift, int32_t *acc) {
  if (KSR_WITH_HIGH_BLOCKS && ksr_has_high_blocks(matrix)) {
    ksr_multiply_blocks_i8(matrix, x, first, count, shift, acc);
  } else if (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix)) {
    ksr_multiply_4_i8(matrix, x, first, count, shift, acc);
  } else {
    ksr_multiply_i8(matrix, x, first, count, shift, acc);
  }
}

static inline void ksr_multiply_by_i16(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                       int32_t shift, int32_t *acc) {
  if (KSR_WITH_HIGH_BLOCKS && ksr_has_high_blocks(matrix)) {
    ksr_multiply_blocks_i16(matrix, x, first, count, shift, acc);
  } else if (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix)) {
    ksr_multiply_4_i16(matrix, x, first, count, shift, acc);
  } else {
    ksr_multiply_i16(matrix, x, first, count, shift, acc);
  }
}

/* acc += (x - zero_point) * 2^shift * matrix for the sources `first` to `first + count - 1`; `first` is a multiple of
 * KSR_SOURCES_AT_ONCE. With matrices for sources that all act, the biases have what the zero point adds. */
static inline void ksr_multiply_some_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                        int32_t zero_point, int32_t shift, int32_t *acc) {
  if (ksr_is_for_all(matrix)) {
    ksr_multiply_by_i8(matrix, x, first, count, shift, acc);
  } else {
    ksr_add_vector(matrix, x, first, count, zero_point, 1 << shift, acc);
  }
}

/* Likewise for a vector x of all sources. */
static inline void ksr_multiply_all_i8(const ksr_matrix *matrix, const int8_t *x, int32_t zero_point, int32_t shift,
                                       int32_t *acc) {
  ksr_multiply_some_i8(matrix, x, 0, matrix->sources, zero_point, shift, acc);
}

#endif /* KSR_MULTIPLY_ANY_H_ */
