/* Products with dense matrices for Armv7E-M and Armv8-M with the DSP extension, four outputs at a time.
 *
 * A half-word h of weights holds that of an odd source, a, above that of an even one, u. int8 sources, .92 instructions
 * a product: of x_odd * h + (256 * x_even - x_odd) * u = 256 * (x_odd * a + x_even * u) both products are by one SMLAD
 * for two half-words, and only u has to be taken out, by one UXTB16. int16 sources, 1.17: a is taken out, too. */
#include "multiply.h"

#ifdef KSR_DSP

#include <string.h>

/* In the order in which they are loaded. */
typedef struct groups {
  const uint32_t *x; /* two words for four sources */
  int32_t start[4];  /* of a group's sums: what the offset of the weights of even sources has added */
  const uint32_t *tiles_end; /* of the x of tiles of sixteen */
  int32_t has_eight;         /* whether a tile of eight follows */
  int32_t *acc;
  int32_t shift;
  int32_t skipped; /* bytes of a group's weights that belong to other sources */
  const int32_t *end; /* of acc */
} groups;

/* r0 weights, r1 x, r2 to r5 x of eight sources, r6 and r7 an output's weights for them, r9 to r12 sums */
#define OUTPUT_OF_PACKED(sum, at)        \
  "ldrd r6, r7, [r0, #" at "]\n"         \
  "smlad " sum ", r6, r2, " sum "\n"     \
  "uxtb16 r6, r6\n"                      \
  "smlad " sum ", r6, r3, " sum "\n"     \
  "smlad " sum ", r7, r4, " sum "\n"     \
  "uxtb16 r7, r7\n"                      \
  "smlad " sum ", r7, r5, " sum "\n"

#define OUTPUT_OF_WIDE(sum, at)          \
  "ldrd r6, r7, [r0, #" at "]\n"         \
  "sxtb16 r8, r6, ror #8\n"              \
  "smlad " sum ", r8, r2, " sum "\n"     \
  "uxtb16 r6, r6\n"                      \
  "smlad " sum ", r6, r3, " sum "\n"     \
  "sxtb16 r8, r7, ror #8\n"              \
  "smlad " sum ", r8, r4, " sum "\n"     \
  "uxtb16 r7, r7\n"                      \
  "smlad " sum ", r7, r5, " sum "\n"

#define EIGHT(output, first, second, third, fourth) \
  "ldm r1!, {r2-r5}\n"                              \
  output("r9", first) output("r10", second) output("r11", third) output("r12", fourth)

#define DEFINE(name, output, shift)                                                                \
  __attribute__((naked)) static void name(const groups *g, const uint8_t *weights) {               \
    __asm__ volatile(                                                                              \
        ".syntax unified\n"                                                                        \
        "push {r4-r11, lr}\n"                                                                      \
        "ldm r0!, {r2-r7}\n"                                                                       \
        "ldm r0, {r8-r12}\n"                                                                       \
        "mov r0, r1\n"                                                                             \
        "push {r8-r12}\n"                                                                          \
        "push {r2-r7}\n"                                                                           \
        "1: ldm sp, {r1, r9-r12, lr}\n"                                                            \
        "b 3f\n"                                                                                   \
        "2:\n" EIGHT(output, "0", "16", "32", "48") EIGHT(output, "8", "24", "40", "56")           \
        "adds r0, #64\n"                                                                           \
        "3: cmp r1, lr\n"                                                                          \
        "bne 2b\n"                                                                                 \
        "ldr r2, [sp, #24]\n"                                                                      \
        "cmp r2, #0\n"                                                                               \
        "beq 4f\n" EIGHT(output, "0", "8", "16", "24")                                         \
        "adds r0, #32\n"                                                                           \
        "4: ldrd r1, r6, [sp, #28]\n"                                                              \
        "ldm r1, {r2-r5}\n"                                                                        \
        shift " r9, r9, r6\n"                                                                      \
        shift " r10, r10, r6\n"                                                                    \
        shift " r11, r11, r6\n"                                                                    \
        shift " r12, r12, r6\n"                                                                    \
        "add r2, r2, r9\n"                                                                         \
        "add r3, r3, r10\n"                                                                        \
        "add r4, r4, r11\n"                                                                        \
        "add r5, r5, r12\n"                                                                        \
        "stm r1!, {r2-r5}\n"                                                                       \
        "ldrd r7, r8, [sp, #36]\n"                                                                 \
        "str r1, [sp, #28]\n"                                                                      \
        "add r0, r0, r7\n"                                                                         \
        "cmp r1, r8\n"                                                                             \
        "bne 1b\n"                                                                                 \
        "add sp, #44\n"                                                                            \
        "pop {r4-r11, pc}\n");                                                                     \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE(add_packed, OUTPUT_OF_PACKED, "asr")
#if !KSR_SMALL || KSR_WITH_INT16
DEFINE(add_wide, OUTPUT_OF_WIDE, "lsl")
#endif

static void add(void (*of_groups)(const groups *, const uint8_t *), const ksr_part *part, const uint32_t *x,
                int32_t start, int32_t shift, int32_t *acc) {
  groups g = {x, {start, start, start, start}, x + (part->sources & ~15) / 2, part->sources & 8, acc, shift,
              part->skipped, acc + part->others};
  const uint8_t *weights = part->weights;
  if (part->others) of_groups(&g, weights);
  g.acc = acc + part->last;
  g.end = g.acc + part->outputs - part->others;
  of_groups(&g, weights + part->others * (part->sources + part->skipped / 4));
}

static inline uint32_t odd_bytes(uint32_t four) {
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(four) : "r"(four));
  return four;
}

static inline uint32_t even_bytes(uint32_t four) {
  __asm__("sxtb16 %0, %1" : "=r"(four) : "r"(four));
  return four;
}

static inline uint32_t difference(uint32_t a, uint32_t b) {
  __asm__("ssub16 %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
  return a;
}

static inline uint32_t saturated_difference(uint32_t a, uint32_t b) {
  __asm__("qsub16 %0, %1, %2" : "=r"(a) : "r"(a), "r"(b));
  return a;
}

static inline int32_t plus_both(int32_t sum, uint32_t pair) {
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(0x00010001));
  return sum;
}

static uint32_t word_at(const int8_t *x) {
  uint32_t four;
  memcpy(&four, x, 4);
  return four;
}

/* Fewer than four sources, with zeros behind them. */
static uint32_t rest_of(const int8_t *x, int32_t count) {
  uint32_t four = 0;
  for (int32_t i = 0; i < count; ++i) four |= (uint32_t)(uint8_t)x[i] << 8 * i;
  return four;
}

enum { ALL = -1, EVEN = 0x00ff00ff, ODD = ~EVEN }; /* sources of four, as masks */

/* Four sources as they are packed; `sum` is that of the even ones, `lost` not zero where one of them does not fit: -128
 * before one above zero. */
KSR_INLINE void pack_four(uint32_t four, uint32_t *to, int32_t *sum, uint32_t *lost) {
  const uint32_t odd = odd_bytes(four), even = four << 8 & 0xff00ff00u, rest = difference(even, odd);
  *lost |= rest ^ saturated_difference(even, odd);
  *sum = plus_both(*sum, even_bytes(four));
  to[0] = odd;
  to[1] = rest;
}

/* Sources under a mask, the others as 0. Returns 0 where one of them does not fit. */
static int pack(const int8_t *x, int32_t count, uint32_t mask, uint32_t *to, int32_t *even_sum) {
  const int8_t *end = x + (count & ~3);
  uint32_t lost = 0;
  int32_t sum = 0;
  for (; x < end; x += 4, to += 2) pack_four(word_at(x) & mask, to, &sum, &lost);
  if (count & 3) {
    pack_four(rest_of(x, count & 3) & mask, to, &sum, &lost);
    to += 2;
  }
  to[0] = to[1] = 0; /* up to a whole tile */
  *even_sum = sum;
  return !lost;
}

#if !KSR_SMALL
/* Returns the sum of the even sources. */
static int32_t widen(const int8_t *x, int32_t count, uint32_t *to) {
  int32_t sum = 0;
  for (; count > 0; x += 4, count -= 4) {
    const uint32_t four = count < 4 ? rest_of(x, count) : word_at(x), even = even_bytes(four);
    sum = plus_both(sum, even);
    *to++ = odd_bytes(four);
    *to++ = even;
  }
  return sum;
}
#endif

enum { WORDS = KSR_SOURCES_AT_ONCE / 2 + 2 };

/* Returns 0, and adds nothing, where a source does not fit. */
static int add_sources(const ksr_part *part, const int8_t *x, int32_t count, uint32_t mask, int32_t shift,
                       uint32_t *words, int32_t *acc) {
  int32_t even;
  if (!pack(x, count, mask, words, &even)) return 0;
  add(add_packed, part, words, -128 * 256 * even, 8 - shift, acc);
  return 1;
}

void ksr_multiply_i8_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                         int32_t *acc) {
  uint32_t words[WORDS];
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    if (add_sources(&part, x + done, now, ALL, shift, words, acc)) continue;
#if KSR_SMALL
    add_sources(&part, x + done, now, EVEN, shift, words, acc);
    add_sources(&part, x + done, now, ODD, shift, words, acc);
#else
    add(add_wide, &part, words, -128 * widen(x + done, now, words), shift, acc);
#endif
  }
}

#if KSR_WITH_INT16
void ksr_multiply_i16_dsp(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                          int32_t *acc) {
  uint32_t words[WORDS];
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    uint32_t *to = words;
    int32_t even = 0;
    for (int32_t j = 0; j < part.sources; j += 4, to += 2) {
      int16_t four[4] = {0};
      for (int32_t i = 0; i < 4 && j + i < now; ++i) four[i] = x[done + j + i];
      to[0] = (uint16_t)four[1] | (uint32_t)(uint16_t)four[3] << 16;
      to[1] = (uint16_t)four[0] | (uint32_t)(uint16_t)four[2] << 16;
      even += four[0] + four[2];
    }
    add(add_wide, &part, words, -128 * even, shift, acc);
  }
}
#endif

#endif /* KSR_DSP */
