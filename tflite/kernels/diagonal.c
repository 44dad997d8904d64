#include "diagonal.h"

void ksr_add_diagonal_i8(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  const int32_t stride = matrix->stride, others = matrix->slots.gates - 1;
  int32_t *last = acc + matrix->slots.last * stride;
  for (; event < end; ++event) {
    const int8_t *weight = (const int8_t *)matrix->diagonal + event->source;
    int32_t *at = acc + event->source;
    for (int32_t gate = 0; gate < others; ++gate, at += stride, weight += stride) *at += event->value * *weight;
    last[event->source] += event->value * *weight;
  }
}

void ksr_add_vector_diagonal_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                int32_t zero_point, int32_t factor, int32_t *acc) {
  const int32_t gates = matrix->slots.gates;
  const int8_t *weights = (const int8_t *)matrix->diagonal + first;
  for (int32_t gate = 0; gate < gates; ++gate, weights += matrix->stride) {
    int32_t *at = acc + (gate == gates - 1 ? matrix->slots.last : gate) * matrix->stride + first;
    for (int32_t j = 0; j < count; ++j) at[j] += (x[j] - zero_point) * factor * weights[j];
  }
}
