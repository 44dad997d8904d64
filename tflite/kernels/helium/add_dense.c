/* Dense rows for the M-profile vector extension: four rows at a time, so that accumulators are loaded once for sixteen
 * products. */
#include "add_events.h"

#ifdef KSR_HELIUM

#include <arm_mve.h>

static void add_four_rows(const int8_t *const row[4], const int32_t value[4], int32_t *acc, int32_t count) {
  const int8_t *a = row[0], *b = row[1], *c = row[2], *d = row[3];
  const int32_t at_a = value[0], at_b = value[1], at_c = value[2], at_d = value[3];
  for (int32_t i = 0; i < count; i += 4) {
    int32x4_t sum = vldrwq_s32(acc + i);
    sum = vmlaq_n_s32(sum, vldrbq_s32(a + i), at_a);
    sum = vmlaq_n_s32(sum, vldrbq_s32(b + i), at_b);
    sum = vmlaq_n_s32(sum, vldrbq_s32(c + i), at_c);
    sum = vmlaq_n_s32(sum, vldrbq_s32(d + i), at_d);
    vstrwq_s32(acc + i, sum);
  }
}

/* Up to four rows. */
static inline void add_rows(const ksr_matrix *matrix, const ksr_event *event, int32_t count, int32_t *acc) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  const uint32_t width = (uint32_t)(others + stride);
  const int8_t *row[4], *last[4];
  int32_t value[4];
  for (int32_t k = 0; k < 4; ++k) {
    row[k] = (const int8_t *)matrix->values + width * event[k < count ? k : 0].source;
    value[k] = k < count ? event[k].value : 0;
    last[k] = row[k] + others;
  }
  add_four_rows(row, value, acc, others);
  add_four_rows(last, value, acc + matrix->slots.last * stride, stride);
}

void ksr_add_dense_helium(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  for (; end - event >= 4; event += 4) add_rows(matrix, event, 4, acc);
  if (event < end) add_rows(matrix, event, (int32_t)(end - event), acc);
}

#endif /* KSR_HELIUM */
