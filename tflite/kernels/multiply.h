/* Products with matrices for sources that all act: dense ones stored by outputs, whose sums stay in registers while the
 * sources go by, and such in blocks several sources high. */
#ifndef KSR_MULTIPLY_H_
#define KSR_MULTIPLY_H_

#include "ksr_matrix.h"
#include "target.h"

enum { KSR_SOURCES_AT_ONCE = 128 };

/* acc += x * 2^shift * matrix for the sources `first` to `first + count - 1`, the first of which x points at; `first`
 * is a multiple of KSR_SOURCES_AT_ONCE. */
void ksr_multiply_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                     int32_t *acc);
void ksr_multiply_i16(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                      int32_t *acc);

/* Weights of 4 bits. */
void ksr_multiply_4_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                       int32_t *acc);
void ksr_multiply_4_i16(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                        int32_t *acc);

/* In blocks several sources high. */
void ksr_multiply_blocks_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                            int32_t *acc);
void ksr_multiply_blocks_i16(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                             int32_t *acc);

/* In plain C. */
void ksr_multiply_blocks_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                     int32_t shift, int32_t *acc);
void ksr_multiply_blocks_i16_portable(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                      int32_t shift, int32_t *acc);
void ksr_multiply_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                              int32_t *acc);
void ksr_multiply_i16_portable(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                               int32_t *acc);

void ksr_multiply_4_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                                int32_t *acc);
void ksr_multiply_4_i16_portable(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                 int32_t shift, int32_t *acc);

/* Some of the sources of a matrix by outputs, at most KSR_SOURCES_AT_ONCE. */
typedef struct ksr_part {
  const uint8_t *weights; /* of the first group of four outputs */
  int32_t others;         /* outputs before a gap: of all gates but the last, or none where there is no gap */
  int32_t outputs;
  int32_t last; /* column of the outputs behind them */
  int32_t sources; /* padded to whole tiles */
  int32_t skipped; /* bytes of a group's weights that belong to other sources */
} ksr_part;

static inline ksr_part ksr_part_of(const ksr_matrix *matrix, int32_t first, int32_t count) {
  const int32_t sources = ksr_padded_sources(count), gates = matrix->slots.gates, last = matrix->slots.last;
  const int32_t before = last == gates - 1 ? 0 : gates - 1;
  const int32_t bytes = ksr_has_weights_of_4_bits(matrix) ? 2 : 4; /* of a source's weights */
  const ksr_part part = {(const uint8_t *)matrix->values + bytes * first, before * matrix->stride,
                         gates * matrix->stride, before ? last * matrix->stride : 0, sources,
                         bytes * (ksr_padded_sources(matrix->sources) - sources)};
  return part;
}

/* The body of one of the functions above: `add(part, x, ...)` adds the products of some of the sources, which it reads
 * from a copy in values of type `copied`, times `factor`, with zeros behind them, up to whole tiles. x * 2^shift fits
 * int16. */
#define KSR_MULTIPLY_PARTS(copied, factor, add, ...)                                                  \
  copied copies[KSR_SOURCES_AT_ONCE];                                                                 \
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {                                 \
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE; \
    const ksr_part part = ksr_part_of(matrix, first + done, now);                                     \
    for (int32_t i = 0; i < now; ++i) copies[i] = (copied)(x[done + i] * (factor));                   \
    for (int32_t i = now; i < part.sources; ++i) copies[i] = 0;                                       \
    add(&part, copies, __VA_ARGS__);                                                                  \
  }

#endif /* KSR_MULTIPLY_H_ */
