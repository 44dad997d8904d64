/* A weight matrix, source-major and block-sparse.
 *
 * Row j holds the weights of source j, in blocks of `block` neighbouring outputs. An output is in column
 * slot * stride + unit, where a slot is a group of accumulators (a gate) and stride is their number padded to whole
 * blocks; no block crosses a slot. Row j has the blocks rows[j] .. rows[j + 1] - 1. The first index entry of a
 * row is its block column, each later one the distance from the previous block (1 to 255; blocks of zeros bridge longer
 * distances). A dense matrix has neither index nor rows, and gates * stride values per row.
 *
 * The diagonal of a recurrent kernel, the weights from each unit to itself, may be stored apart from the blocks: stride
 * values per gate, which are added to those in the blocks.
 *
 * A dense matrix may be stored by outputs, for sources that are all active in every step: gates * stride outputs in
 * groups of four. The weights of a group are in tiles of sixteen sources, the last one of eight if that is enough. A
 * tile has the weights of the first output, then those of the second, and so on. Weights of even sources are unsigned,
 * with an offset of 128.
 *
 * For such sources, the blocks of a sparse matrix may also be `height` sources high and one output wide. Row j then has
 * the blocks of the sources height * j to height * j + height - 1, with zeros for those that do not exist, and index
 * entries count single columns.
 *
 * Weights of 4 bits are stored two per byte, the first in the lower half. By outputs, all tiles have eight sources; the
 * weights of three sources of four are unsigned, with an offset of 8, and that of the fourth is signed. */
#ifndef KSR_MATRIX_H_
#define KSR_MATRIX_H_
/* Sources: KSR_WITH_FLOAT32:matrix_f32.c */

#include "ksr.h"
#include "ksr_align.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The slots that a matrix adds to: its gates, in order, add to slots 0, 1, .., and the last one to slot `last`. */
typedef struct ksr_slots {
  int32_t gates;
  int32_t last;
} ksr_slots;

typedef struct ksr_matrix {
  const void *values;    /* int8, two weights of 4 bits in a byte, or float32 */
  const uint8_t *index;  /* NULL: dense */
  const uint16_t *rows16; /* one of the two row pointers is set, unless dense */
  const uint32_t *rows32;
  int32_t sources;
  int32_t block;  /* 4, 8 or 16 */
  int32_t stride; /* columns of a slot, padded to whole blocks */
  ksr_slots slots;
  int32_t by_outputs; /* whether a dense matrix is stored by outputs */
  int32_t height; /* of the blocks of a sparse matrix: 4, 8 or 16 sources; below 2: one source and `block` outputs */
  int32_t weight_bits; /* 4; or 0: one weight per element */
  const void *diagonal; /* int8 or float32; NULL: in the blocks */
} ksr_matrix;

/* Sources of a matrix by outputs, padded to whole tiles. */
static inline int32_t ksr_padded_sources(int32_t sources) { return (sources + 7) & ~7; }

/* How a matrix is stored. The compiler knows the formats that a build lacks, and removes their code. */
static inline int ksr_is_by_outputs(const ksr_matrix *matrix) {
  const int in_blocks = KSR_WITH_BLOCKS_4 || KSR_WITH_BLOCKS_8 || KSR_WITH_BLOCKS_16 || KSR_WITH_HIGH_BLOCKS;
  return KSR_WITH_BY_OUTPUTS && (!(KSR_WITH_BY_SOURCES || in_blocks) || matrix->by_outputs);
}

static inline int ksr_has_high_blocks(const ksr_matrix *matrix) {
  const int wide = KSR_WITH_BLOCKS_4 || KSR_WITH_BLOCKS_8 || KSR_WITH_BLOCKS_16;
  return KSR_WITH_HIGH_BLOCKS && (!(KSR_WITH_BY_SOURCES || KSR_WITH_BY_OUTPUTS || wide) || matrix->height > 1);
}

/* Whether it is stored for sources that all act in every step. */
static inline int ksr_is_for_all(const ksr_matrix *matrix) {
  return ksr_is_by_outputs(matrix) || ksr_has_high_blocks(matrix);
}

/* The number of a row's first block, unless dense. */
static inline uint32_t ksr_row_start(const ksr_matrix *matrix, int32_t row) {
  return matrix->rows16 ? matrix->rows16[row] : matrix->rows32[row];
}

static inline int ksr_is_by_sources(const ksr_matrix *matrix) {
  const int in_blocks = KSR_WITH_BLOCKS_4 || KSR_WITH_BLOCKS_8 || KSR_WITH_BLOCKS_16;
  return KSR_WITH_BY_SOURCES && (!in_blocks || !matrix->index);
}

static inline int ksr_has_blocks_of_4(const ksr_matrix *matrix) {
  return KSR_WITH_BLOCKS_4 && (!(KSR_WITH_BLOCKS_8 || KSR_WITH_BLOCKS_16) || matrix->block == 4);
}

static inline int ksr_has_blocks_of_8(const ksr_matrix *matrix) {
  return KSR_WITH_BLOCKS_8 && (!(KSR_WITH_BLOCKS_4 || KSR_WITH_BLOCKS_16) || matrix->block == 8);
}

static inline int ksr_has_weights_of_4_bits(const ksr_matrix *matrix) {
  return KSR_WITH_WEIGHTS_4 && (!KSR_WITH_WEIGHTS_8 || matrix->weight_bits == 4);
}

static inline int ksr_has_diagonal(const ksr_matrix *matrix) { return KSR_WITH_DIAGONAL && matrix->diagonal; }

/* A nonzero source and its value. Some processors load it as one word. */
typedef struct KSR_ALIGNED(4) ksr_event {
  uint16_t source;
  int16_t value;
} ksr_event;

/* acc[column] += value * weight for all weights of source j. */
void ksr_matrix_add_f32(const ksr_matrix *matrix, int32_t j, float value, float *acc);

/* acc += x * matrix, for a vector x of all sources. */
void ksr_matrix_add_vector_f32(const ksr_matrix *matrix, const float *x, float *acc);

#ifdef __cplusplus
}
#endif

#endif /* KSR_MATRIX_H_ */
