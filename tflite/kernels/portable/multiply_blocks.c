/* Products with blocks that are several sources high and one output wide. */
#include <string.h>

#include "ksr_gates.h"
#include "multiply.h"

#if KSR_WITH_HIGH_BLOCKS

#ifdef KSR_SHORT_PRODUCT
typedef int32_t ksr_copied; /* loads of 16 bits with sign have no offset */
#else
typedef int16_t ksr_copied;
#endif

/* A block's products with four sources. */
KSR_INLINE int32_t four_products(const int8_t *weights, const ksr_copied *x) {
#ifdef KSR_SHORT_PRODUCT
  /* As in add_events.c: all four weights by one load. */
  int32_t four;
  memcpy(&four, __builtin_assume_aligned(weights, 4), sizeof(four));
  return x[0] * (int8_t)four + x[1] * ((int32_t)((uint32_t)four << 16) >> 24) +
         x[2] * ((int32_t)((uint32_t)four << 8) >> 24) + x[3] * (four >> 24);
#else
  return x[0] * weights[0] + x[1] * weights[1] + x[2] * weights[2] + x[3] * weights[3];
#endif
}

/* Likewise with weights of 4 bits, in two bytes. */
KSR_INLINE int32_t four_products_4(const int8_t *weights, const ksr_copied *x) {
  const int32_t first = weights[0], second = weights[1];
  return x[0] * ((int8_t)((uint32_t)first << 4) >> 4) + x[1] * (first >> 4) +
         x[2] * ((int8_t)((uint32_t)second << 4) >> 4) + x[3] * (second >> 4);
}

/* Number i of a block's fours. */
KSR_INLINE int32_t four(const int8_t *weights, const ksr_copied *x, int32_t i, int32_t of_4_bits) {
  return of_4_bits ? four_products_4(weights + 2 * i, x + 4 * i) : four_products(weights + 4 * i, x + 4 * i);
}

/* Written out: loops of four products each would not be unrolled. */
KSR_INLINE int32_t products(const int8_t *weights, const ksr_copied *x, int32_t height, int32_t of_4_bits) {
  int32_t sum = four(weights, x, 0, of_4_bits);
  if (height > 4) sum += four(weights, x, 1, of_4_bits);
  if (height > 8) sum += four(weights, x, 2, of_4_bits) + four(weights, x, 3, of_4_bits);
  return sum;
}

KSR_INLINE void add_row(const ksr_matrix *matrix, int32_t row, const ksr_copied *x, int32_t height, int32_t of_4_bits,
                        int32_t *acc) {
  const uint32_t begin = ksr_row_start(matrix, row), end = ksr_row_start(matrix, row + 1);
  const uint32_t bytes = (uint32_t)(of_4_bits ? height / 2 : height);
  const int8_t *weights = (const int8_t *)matrix->values + begin * bytes;
  for (const uint8_t *index = matrix->index + begin; index < matrix->index + end; weights += bytes) {
    acc += *index++;
    *acc += products(weights, x, height, of_4_bits);
  }
}

/* `x` of as many rows' sources. */
static void add_rows(const ksr_matrix *matrix, int32_t row, int32_t rows, const ksr_copied *x, int32_t *acc) {
  const int32_t height = matrix->height;
  for (int32_t end = row + rows; row < end; ++row, x += height) {
    /* The height as a constant, so that the compiler unrolls. */
    if (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix)) {
      add_row(matrix, row, x, height, 1, acc);
    } else if (height == 4) {
      add_row(matrix, row, x, 4, 0, acc);
    } else if (height == 8) {
      add_row(matrix, row, x, 8, 0, acc);
    } else {
      add_row(matrix, row, x, 16, 0, acc);
    }
  }
}

/* The body of both functions: x is read, times 2^shift, from a copy with zeros behind it. */
#define MULTIPLY_ROWS                                                                                 \
  const int32_t height = matrix->height;                                                              \
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {                                 \
    ksr_copied copies[KSR_SOURCES_AT_ONCE];                                                           \
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE; \
    const int32_t padded = (now + height - 1) & -height;                                              \
    for (int32_t i = 0; i < now; ++i) copies[i] = (ksr_copied)(x[done + i] * (1 << shift));           \
    for (int32_t i = now; i < padded; ++i) copies[i] = 0;                                             \
    add_rows(matrix, (first + done) / height, padded / height, copies, acc);                          \
  }

void ksr_multiply_blocks_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                     int32_t shift, int32_t *acc) {
  MULTIPLY_ROWS
}

#if KSR_WITH_INT16
void ksr_multiply_blocks_i16_portable(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                      int32_t shift, int32_t *acc) {
  MULTIPLY_ROWS
}
#endif

#endif /* KSR_WITH_HIGH_BLOCKS */
