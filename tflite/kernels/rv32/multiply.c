/* Products with dense matrices for RV32: four outputs at a time, 3.3 instructions a product. Compilers move all loads
 * of a tile to its begin, and then run out of registers. */
#include "multiply.h"

#ifdef KSR_RV32

/* A source's products with four outputs, whose weights lie `width` bytes apart. */
#define SOURCE(load, at, width)                          \
  "lh %[x_at], 2 * (" at ")(%[x])\n"                     \
  load " %[p], " at "(%[weights])\n"                     \
  load " %[q], " at " + " width "(%[weights])\n"         \
  load " %[r], " at " + 2 * " width "(%[weights])\n"     \
  load " %[s], " at " + 3 * " width "(%[weights])\n"     \
  "mul %[p], %[p], %[x_at]\n"                            \
  "mul %[q], %[q], %[x_at]\n"                            \
  "mul %[r], %[r], %[x_at]\n"                            \
  "mul %[s], %[s], %[x_at]\n"                            \
  "add %[a], %[a], %[p]\n"                               \
  "add %[b], %[b], %[q]\n"                               \
  "add %[c], %[c], %[r]\n"                               \
  "add %[d], %[d], %[s]\n"

#define PAIR(even, odd, width) SOURCE("lbu", even, width) SOURCE("lb", odd, width)
#define EIGHT(from, width)                                                                   \
  PAIR(from " + 0", from " + 1", width) PAIR(from " + 2", from " + 3", width)                \
  PAIR(from " + 4", from " + 5", width) PAIR(from " + 6", from " + 7", width)

#define ADD_TILE(tile)                                                                                              \
  __asm__(tile                                                                                                      \
          : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r),           \
            [s] "=&r"(s), [x_at] "=&r"(x_at)                                                                        \
          : [weights] "r"(weights), [x] "r"(x)                                                                      \
          : "memory")

static void add_products(const ksr_part *part, const int16_t *x_first, int32_t *acc) {
  const int16_t *x_tiles_end = x_first + (part->sources & ~15);
  const uint8_t *weights = part->weights;
  int32_t start = 0; /* weights of even sources are 128 too large */
  for (int32_t j = 0; j < part->sources; j += 2) start -= x_first[j] * 128;
  for (int32_t row = 0; row < part->outputs; row += 4) {
    int32_t *at = acc + (row < part->others ? row : row - part->others + part->last);
    int32_t a = at[0] + start, b = at[1] + start, c = at[2] + start, d = at[3] + start, p, q, r, s, x_at;
    const int16_t *x = x_first;
    for (; x < x_tiles_end; x += 16, weights += 64) ADD_TILE(EIGHT("0", "16") EIGHT("8", "16"));
    if (part->sources & 8) {
      ADD_TILE(EIGHT("0", "8"));
      weights += 32;
    }
    weights += part->skipped;
    at[0] = a;
    at[1] = b;
    at[2] = c;
    at[3] = d;
  }
}

void ksr_multiply_i8_rv32(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                          int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}

#if KSR_WITH_INT16
void ksr_multiply_i16_rv32(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                           int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}
#endif

#endif /* KSR_RV32 */
