#include "vectors.h"

#include <string.h>

#include "gates_i8.h"

void ksr_copy_words_portable(int32_t *to, const int32_t *from, int32_t count) {
  typedef struct words {
    int32_t word[8];
  } words;
  for (const int32_t *end = from + count; from < end; from += 8, to += 8) *(words *)to = *(const words *)from;
}

void ksr_fill_i8_portable(int8_t *to, int8_t value, int32_t count) { memset(to, value, (uint32_t)count); }

void ksr_scale_i32_portable(int32_t *acc, const int16_t *scale, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
#ifdef KSR_SHORT_PRODUCT
    acc[i] = ksr_product_over_16(acc[i], scale[i]);
#else
    /* The upper half of a product, no shift of both. */
    acc[i] = (int32_t)(((int64_t)acc[i] * (scale[i] * 65536)) >> 32);
#endif
  }
}
