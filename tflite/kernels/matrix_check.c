#include "matrix_check.h"

/* Weight number `at` of those of 4 bits, with its sign. */
static int32_t four_bits(const ksr_matrix *matrix, int32_t at) {
  const int8_t two = ((const int8_t *)matrix->values)[at / 2];
  return at & 1 ? two >> 4 : (int8_t)((uint32_t)two << 4) >> 4;
}

/* The weight from a source to output number `row` of a matrix by outputs. */
static int32_t weight_of(const ksr_matrix *matrix, int32_t row, int32_t source) {
  const int32_t sources = ksr_padded_sources(matrix->sources), most = matrix->weight_bits ? 8 : 16;
  const int32_t tile = source & -most, width = sources - tile < most ? 8 : most;
  const int32_t at = (row & ~3) * sources + tile * 4 + (row & 3) * width + source - tile;
  if (matrix->weight_bits) {
    const int32_t four = four_bits(matrix, at);
    return (source & 3) == 3 ? four : (four & 15) - 8;
  }
  const uint8_t weight = ((const uint8_t *)matrix->values)[at];
  return source & 1 ? (int8_t)weight : weight - 128;
}

int ksr_matrix_check(const ksr_matrix *matrix, int32_t block_count) {
  enum { SOUND = 0, INDEX, ROWS };
  if (!matrix->index) return SOUND;
  const uint32_t blocks = (uint32_t)block_count;
  const int32_t rows = ksr_rows_of(matrix), width = matrix->height > 1 ? 1 : matrix->block;
  const uint32_t columns = (uint32_t)((matrix->slots.last + 1) * (matrix->stride / width));
  if (ksr_row_start(matrix, 0) != 0 || ksr_row_start(matrix, rows) != blocks) return ROWS;
  for (int32_t j = 0; j < rows; ++j) {
    const uint32_t begin = ksr_row_start(matrix, j), end = ksr_row_start(matrix, j + 1);
    if (end < begin || end > blocks) return ROWS;
    uint32_t column = 0;
    for (uint32_t k = begin; k < end; ++k) {
      /* A block must lie to the right of the one before: no accumulator is met twice in a row. */
      if (k > begin && matrix->index[k] == 0) return INDEX;
      column += matrix->index[k];
      if (column >= columns) return INDEX;
    }
  }
  return SOUND;
}

/* The magnitude of weight number `at`. */
static uint32_t magnitude(const ksr_matrix *matrix, int32_t at) {
  const int32_t value = matrix->weight_bits ? four_bits(matrix, at) : ((const int8_t *)matrix->values)[at];
  return (uint32_t)(value < 0 ? -value : value);
}

/* Of `width` weights from number `at` on, of which the first is of column `column`, those of the columns from `first`
 * on. */
static void add_magnitudes(const ksr_matrix *matrix, int32_t at, int32_t column, int32_t width, int32_t first,
                           int32_t count, uint32_t *sums) {
  const int32_t begin = first > column ? first - column : 0;
  const int32_t end = first + count < column + width ? first + count - column : width;
  for (int32_t i = begin; i < end; ++i) sums[column + i - first] += magnitude(matrix, at + i);
}

/* Likewise of a matrix by outputs. */
static void add_magnitudes_by_outputs(const ksr_matrix *matrix, int32_t first, int32_t count, uint32_t *sums) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  for (int32_t row = 0; row < others + stride; ++row) {
    const int32_t at = (row < others ? row : row - others + matrix->slots.last * stride) - first;
    if (at < 0 || at >= count) continue;
    for (int32_t j = 0; j < matrix->sources; ++j) {
      const int32_t weight = weight_of(matrix, row, j);
      sums[at] += (uint32_t)(weight < 0 ? -weight : weight);
    }
  }
}

/* Likewise of a diagonal. */
static void add_magnitudes_of_diagonal(const ksr_matrix *matrix, int32_t first, int32_t count, uint32_t *sums) {
  const int8_t *weights = matrix->diagonal;
  for (int32_t gate = 0; gate < matrix->slots.gates; ++gate, weights += matrix->stride) {
    const int32_t column = (gate == matrix->slots.gates - 1 ? matrix->slots.last : gate) * matrix->stride;
    for (int32_t j = 0; j < matrix->stride; ++j) {
      const int32_t at = column + j - first, weight = weights[j];
      if (at >= 0 && at < count) sums[at] += (uint32_t)(weight < 0 ? -weight : weight);
    }
  }
}

/* Likewise of a matrix whose blocks are one column wide. */
static void add_magnitudes_of_high(const ksr_matrix *matrix, int32_t first, int32_t count, uint32_t *sums) {
  const int32_t height = matrix->height;
  for (int32_t j = 0; j < ksr_rows_of(matrix); ++j) {
    const uint32_t end = ksr_row_start(matrix, j + 1);
    int32_t column = -first;
    for (uint32_t k = ksr_row_start(matrix, j); k < end; ++k) {
      column += matrix->index[k];
      if (column >= count) break;
      for (int32_t i = 0; column >= 0 && i < height; ++i) sums[column] += magnitude(matrix, (int32_t)k * height + i);
    }
  }
}

void ksr_matrix_add_magnitudes_i8(const ksr_matrix *matrix, int32_t first, int32_t count, uint32_t *sums) {
  if (matrix->diagonal) add_magnitudes_of_diagonal(matrix, first, count, sums);
  if (matrix->by_outputs) {
    add_magnitudes_by_outputs(matrix, first, count, sums);
    return;
  }
  if (matrix->height > 1) {
    add_magnitudes_of_high(matrix, first, count, sums);
    return;
  }
  const int32_t stride = matrix->stride, block = matrix->block, gates = matrix->slots.gates;
  for (int32_t j = 0, at = 0; j < matrix->sources; ++j) {
    if (!matrix->index) {
      for (int32_t gate = 0; gate < gates; ++gate, at += stride) {
        const int32_t slot = gate == gates - 1 ? matrix->slots.last : gate;
        add_magnitudes(matrix, at, slot * stride, stride, first, count, sums);
      }
      continue;
    }
    const uint32_t end = ksr_row_start(matrix, j + 1);
    int32_t column = 0;
    for (uint32_t k = ksr_row_start(matrix, j); k < end; ++k) {
      column += matrix->index[k] * block;
      if (column >= first + count) break;
      add_magnitudes(matrix, (int32_t)k * block, column, block, first, count, sums);
    }
  }
}
