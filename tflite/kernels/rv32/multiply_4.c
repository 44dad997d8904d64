/* Products with dense matrices by outputs of weights of 4 bits for RV32: 3.9 instructions a product. */
#include "multiply.h"

#if defined(KSR_RV32) && KSR_WITH_WEIGHTS_4

/* Two sources' products with four outputs, whose weights lie two in a byte and four bytes apart; `upper` takes the
 * second one out of it. */
#define BYTE(w, upper, sum)               \
  "andi %[p], %[" w "], 15\n"             \
  upper " %[" w "], %[" w "], 4\n"        \
  "mul %[p], %[p], %[even]\n"             \
  "mul %[" w "], %[" w "], %[odd]\n"      \
  "add %[" sum "], %[" sum "], %[p]\n"    \
  "add %[" sum "], %[" sum "], %[" w "]\n"

#define PAIR(load, upper, at)                        \
  "lh %[even], 4 * (" at ")(%[x])\n"                 \
  "lh %[odd], 4 * (" at ") + 2(%[x])\n"              \
  load " %[q], " at "(%[weights])\n"                 \
  load " %[r], " at " + 4(%[weights])\n"             \
  load " %[s], " at " + 8(%[weights])\n"             \
  load " %[t], " at " + 12(%[weights])\n"            \
  BYTE("q", upper, "a") BYTE("r", upper, "b") BYTE("s", upper, "c") BYTE("t", upper, "d")

/* Of four sources the last one's weights have a sign. */
#define EIGHT                                              \
  PAIR("lbu", "srli", "0") PAIR("lb", "srai", "1")         \
  PAIR("lbu", "srli", "2") PAIR("lb", "srai", "3")

static void add_products(const ksr_part *part, const int16_t *x_first, int32_t *acc) {
  const int16_t *x_end = x_first + part->sources;
  const uint8_t *weights = part->weights;
  int32_t start = 0; /* weights of three sources of four are 8 too large */
  for (const int16_t *x = x_first; x < x_end; x += 4) start -= (x[0] + x[1] + x[2]) * 8;
  for (int32_t row = 0; row < part->outputs; row += 4, weights += part->skipped) {
    int32_t *at = acc + (row < part->others ? row : row - part->others + part->last);
    int32_t a = at[0] + start, b = at[1] + start, c = at[2] + start, d = at[3] + start;
    for (const int16_t *x = x_first; x < x_end; x += 8, weights += 16) {
      int32_t p, q, r, s, t, even, odd;
      __asm__(EIGHT
              : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r),
                [s] "=&r"(s), [t] "=&r"(t), [even] "=&r"(even), [odd] "=&r"(odd)
              : [weights] "r"(weights), [x] "r"(x)
              : "memory");
    }
    at[0] = a;
    at[1] = b;
    at[2] = c;
    at[3] = d;
  }
}

void ksr_multiply_4_i8_rv32(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                            int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}

#if KSR_WITH_INT16
void ksr_multiply_4_i16_rv32(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                             int32_t *acc) {
  KSR_MULTIPLY_PARTS(int16_t, 1 << shift, add_products, acc)
}
#endif

#endif /* KSR_RV32 && KSR_WITH_WEIGHTS_4 */
