/* Products with dense matrices for Thumb: without products that accumulate (Armv6-M and Armv8-M Baseline) two outputs
 * at a time, 3.8 instructions a product; with them (Armv7-M) four, 2.2. */
#include "multiply.h"

#if defined(KSR_THUMB) && !defined(KSR_DSP)

enum { AT_ONCE = 64 }; /* sources, each in a word */

#ifdef KSR_THUMB1
/* r0 weights, r1 x, r2 and r3 x of an even and an odd source, r5 and r6 sums */
#define PRODUCT(sum, x, load, at) load("[r0, #" at "]") "muls r4, " x ", r4\n" "adds " sum ", " sum ", r4\n"
#define EVEN(from) "ldrb r4, " from "\n"
#define ODD(from) "ldrb r4, " from "\n" "sxtb r4, r4\n"
#define PAIR(first, first_odd, second, second_odd)            \
  "ldmia r1!, {r2, r3}\n"                                     \
  PRODUCT("r5", "r2", EVEN, first) PRODUCT("r6", "r2", EVEN, second) \
  PRODUCT("r5", "r3", ODD, first_odd) PRODUCT("r6", "r3", ODD, second_odd)

#define EIGHT PAIR("0", "1", "8", "9") PAIR("2", "3", "10", "11") PAIR("4", "5", "12", "13") PAIR("6", "7", "14", "15")
#define SIXTEEN                                                                                                \
  PAIR("0", "1", "16", "17") PAIR("2", "3", "18", "19") PAIR("4", "5", "20", "21") PAIR("6", "7", "22", "23") \
  PAIR("8", "9", "24", "25") PAIR("10", "11", "26", "27") PAIR("12", "13", "28", "29") PAIR("14", "15", "30", "31")

/* Twice: r7 is where the sums lie. */
#define LOOP                            \
  "push {r0, r1, r4-r7, lr}\n"          \
  "mov lr, r2\n"                        \
  "mov r12, r3\n"                       \
  "ldr r7, [sp, #28]\n"                 \
  "1: ldr r4, [sp, #32]\n"              \
  "ldmia r7!, {r5, r6}\n"               \
  "adds r5, r5, r4\n"                   \
  "adds r6, r6, r4\n"                   \
  "b 3f\n"                              \
  "2:\n" SIXTEEN                        \
  "adds r0, #64\n"                      \
  "3: cmp r1, lr\n"                     \
  "bne 2b\n"                            \
  "mov r0, r12\n"                       \
  "cmp r0, #0\n"                        \
  "beq 4f\n" EIGHT                      \
  "adds r0, #16\n"                      \
  "mov r12, r0\n"                       \
  "4: subs r7, #8\n"                    \
  "stmia r7!, {r5, r6}\n"               \
  "ldr r4, [sp, #28]\n"                 \
  "adds r4, #8\n"                       \
  "cmp r4, r7\n"                        \
  "bne 5f\n"                            \
  "ldr r0, [sp]\n"                      \
  "ldr r1, [sp, #4]\n"                  \
  "adds r0, #32\n"                      \
  "b 1b\n"                              \
  "5: pop {r0, r1, r4-r7, pc}\n"
#else
/* r0 weights, r1 x, r2 to r5 x of four sources, r9 to r12 sums */
#define OUTPUT(sum, at)                                              \
  "ldrb r6, [r0, #" at "]\n"                                         \
  "ldrsb r7, [r0, #" at " + 1]\n"                                    \
  "mla " sum ", r6, r2, " sum "\n"                                   \
  "mla " sum ", r7, r3, " sum "\n"                                   \
  "ldrb r6, [r0, #" at " + 2]\n"                                     \
  "ldrsb r7, [r0, #" at " + 3]\n"                                    \
  "mla " sum ", r6, r4, " sum "\n"                                   \
  "mla " sum ", r7, r5, " sum "\n"

#define FOUR(at, width)                                                                \
  "ldm r1!, {r2-r5}\n" OUTPUT("r9", at) OUTPUT("r10", at " + " width)                  \
  OUTPUT("r11", at " + 2 * " width) OUTPUT("r12", at " + 3 * " width)

#define LOOP                                                                           \
  "push {r4-r11, lr}\n"                                                                \
  "ldrd r8, r4, [sp, #36]\n"                                                           \
  "mov lr, r2\n"                                                                       \
  "push {r3}\n"                                                                        \
  "ldm r8, {r9-r12}\n"                                                                 \
  "add r9, r4\n"                                                                       \
  "add r10, r4\n"                                                                      \
  "add r11, r4\n"                                                                      \
  "add r12, r4\n"                                                                      \
  "b 2f\n"                                                                             \
  "1:\n" FOUR("0", "16") FOUR("4", "16") FOUR("8", "16") FOUR("12", "16")              \
  "adds r0, #64\n"                                                                     \
  "2: cmp r1, lr\n"                                                                    \
  "bne 1b\n"                                                                           \
  "pop {r0}\n"                                                                         \
  "cmp r0, #0\n"                                                                       \
  "beq 3f\n" FOUR("0", "8") FOUR("4", "8")                                             \
  "3: stm r8, {r9-r12}\n"                                                              \
  "pop {r4-r11, pc}\n"
#endif

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* acc += `start` and the products of four outputs: of tiles of sixteen sources as far as `tiles_end`, and of the one of
 * eight at `eight` unless that is NULL. */
__attribute__((naked)) static void add_outputs(const uint8_t *weights, const int32_t *x, const int32_t *tiles_end,
                                               const uint8_t *eight, int32_t *acc, int32_t start) {
  __asm__ volatile(".syntax unified\n" LOOP);
}

/* `x` with zeros behind it, up to whole tiles. */
static void add_products(const ksr_part *part, const int32_t *x, int32_t *acc) {
  const int32_t sources = part->sources, in_tiles = sources & ~15;
  const uint8_t *weights = part->weights;
  int32_t start = 0; /* weights of even sources are 128 too large */
  for (int32_t j = 0; j < sources; j += 2) start -= 128 * x[j];
  for (int32_t row = 0; row < part->outputs; row += 4, weights += 4 * sources + part->skipped) {
    int32_t *at = acc + (row < part->others ? row : row - part->others + part->last);
    add_outputs(weights, x, x + in_tiles, sources & 8 ? weights + 4 * in_tiles : 0, at, start);
  }
}

#define MULTIPLY                                                                                       \
  int32_t words[AT_ONCE];                                                                              \
  for (int32_t done = 0; done < count; done += AT_ONCE) {                                              \
    const int32_t left = count - done, now = left < AT_ONCE ? left : AT_ONCE;                          \
    const ksr_part part = ksr_part_of(matrix, first + done, now);                                      \
    for (int32_t i = 0; i < now; ++i) words[i] = x[done + i] * (1 << shift);                           \
    for (int32_t i = now; i < part.sources; ++i) words[i] = 0;                                         \
    add_products(&part, words, acc);                                                                   \
  }

void ksr_multiply_i8_thumb(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                           int32_t *acc) {
  MULTIPLY
}

#if KSR_WITH_INT16
void ksr_multiply_i16_thumb(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                            int32_t *acc) {
  MULTIPLY
}
#endif

#endif /* KSR_THUMB && !KSR_DSP */
