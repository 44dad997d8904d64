#include "ksr_matrix.h"

#include "add_events.h"

static int is_vector(const ksr_tensor *tensor, int32_t type) {
  return tensor->type == type && tensor->rank == 1 && tensor->data && ksr_is_aligned(tensor);
}

int ksr_matrix_from_tensors(ksr_matrix *matrix, const ksr_tensor tensors[3], int32_t stored_type, int32_t sources,
                            int32_t block, int32_t stride, ksr_slots slots) {
  const ksr_tensor *values = &tensors[0], *index = &tensors[1], *rows = &tensors[2];
  matrix->values = values->data;
  matrix->index = index->data;
  matrix->rows16 = rows->type == KSR_UINT16 ? rows->data : 0;
  matrix->rows32 = rows->type == KSR_UINT32 ? rows->data : 0;
  matrix->sources = sources;
  matrix->block = block;
  matrix->stride = stride;
  matrix->slots = slots;
  /* Four int8 weights are loaded as a word. */
  if (!is_vector(values, stored_type) || (uintptr_t)values->data % 4 != 0) return 0;
  if (index->type < 0 && rows->type < 0) {
    return values->dims[0] / stride == slots.gates * sources && values->dims[0] % stride == 0;
  }
  return is_vector(index, KSR_UINT8) && (is_vector(rows, KSR_UINT16) || is_vector(rows, KSR_UINT32)) &&
         rows->dims[0] == sources + 1 && index->dims[0] == values->dims[0] / block && values->dims[0] % block == 0;
}

static uint32_t row_start(const ksr_matrix *matrix, int32_t j) {
  return matrix->rows16 ? matrix->rows16[j] : matrix->rows32[j];
}

int ksr_matrix_check(const ksr_matrix *matrix, int32_t value_count) {
  if (!matrix->index) return 1;
  const uint32_t blocks = (uint32_t)(value_count / matrix->block);
  const uint32_t columns = (uint32_t)((matrix->slots.last + 1) * (matrix->stride / matrix->block));
  if (row_start(matrix, 0) != 0 || row_start(matrix, matrix->sources) != blocks) return 0;
  for (int32_t j = 0; j < matrix->sources; ++j) {
    const uint32_t begin = row_start(matrix, j), end = row_start(matrix, j + 1);
    if (end < begin || end > blocks) return 0;
    uint32_t column = 0;
    for (uint32_t k = begin; k < end; ++k) {
      /* A block must lie to the right of the one before: no accumulator is met twice in a row. */
      if (k > begin && matrix->index[k] == 0) return 0;
      column += matrix->index[k];
      if (column >= columns) return 0;
    }
  }
  return 1;
}

/* Of `width` weights, of which the first is of column `column`, those of the columns from `first` on. */
static void add_magnitudes(const int8_t *values, int32_t column, int32_t width, int32_t first, int32_t count,
                           uint32_t *sums) {
  const int32_t begin = first > column ? first - column : 0;
  const int32_t end = first + count < column + width ? first + count - column : width;
  for (int32_t i = begin; i < end; ++i) {
    const int32_t value = values[i];
    sums[column + i - first] += (uint32_t)(value < 0 ? -value : value);
  }
}

void ksr_matrix_add_magnitudes_i8(const ksr_matrix *matrix, int32_t first, int32_t count, uint32_t *sums) {
  const int8_t *values = matrix->values;
  const int32_t stride = matrix->stride, block = matrix->block, gates = matrix->slots.gates;
  for (int32_t j = 0; j < matrix->sources; ++j) {
    if (!matrix->index) {
      for (int32_t gate = 0; gate < gates; ++gate, values += stride) {
        const int32_t slot = gate == gates - 1 ? matrix->slots.last : gate;
        add_magnitudes(values, slot * stride, stride, first, count, sums);
      }
      continue;
    }
    const uint32_t end = row_start(matrix, j + 1);
    int32_t column = 0;
    for (uint32_t k = row_start(matrix, j); k < end; ++k) {
      column += matrix->index[k] * block;
      if (column >= first + count) break;
      add_magnitudes(values + k * (uint32_t)block, column, block, first, count, sums);
    }
  }
}
