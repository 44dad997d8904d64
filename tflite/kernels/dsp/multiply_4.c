/* Products with dense matrices by outputs of weights of 4 bits for Armv7E-M and Armv8-M with the DSP extension, four
 * outputs at a time: 1.0 instructions a product.
 *
 * A half-word of weights is 4096 d + 256 c + 16 b + a, of four sources one after the other; d has a sign, the others
 * are 8 too large. SMLAD takes it as it is, times x_d; then 256 c, times 16 x_c - x_d; 16 b + a, times 256 x_b - x_d;
 * and 32 a, times 128 x_a - 8 x_b: in all 4096 (x_a a + x_b b + x_c c + x_d d), for two half-words. */
#include "multiply.h"

#if defined(KSR_DSP) && KSR_WITH_WEIGHTS_4

/* In the order in which they are loaded. */
typedef struct groups {
  const uint32_t *x, *x_end; /* four words for eight sources */
  int32_t start; /* of a sum: what the offsets of weights have added */
  int32_t shift; /* to the right */
  int32_t skipped; /* bytes of a group's weights that belong to other sources */
  int32_t *acc;
  const int32_t *end; /* of acc */
} groups;

/* r2 to r5 x of eight sources, lr mask */
#define OUTPUT(sum, weights)                   \
  "smlad " sum ", " weights ", r2, " sum "\n"  \
  "and r8, " weights ", #0x0f000f00\n"         \
  "smlad " sum ", r8, r3, " sum "\n"           \
  "uxtb16 r8, " weights "\n"                   \
  "smlad " sum ", r8, r4, " sum "\n"           \
  "and r8, lr, " weights ", lsl #5\n"          \
  "smlad " sum ", r8, r5, " sum "\n"

/* r0 weights, r1 x, r9 to r12 sums; on the stack what `groups` holds */
#pragma GCC diagnostic ignored "-Wunused-parameter"
__attribute__((naked)) static void add_groups(const groups *g, const uint8_t *weights) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldm r0, {r2-r8}\n"
      "mov r0, r1\n"
      "push {r2-r8}\n"
      "mov lr, #0x00f000f0\n" /* lsl #1: no constant that an instruction holds */
      "lsl lr, lr, #1\n"
      "1: ldr r1, [sp]\n"
      "ldr r9, [sp, #8]\n"
      "mov r10, r9\n"
      "mov r11, r9\n"
      "mov r12, r9\n"
      "2: ldm r1!, {r2-r5}\n"
      "ldm r0!, {r6, r7}\n" OUTPUT("r9", "r6") OUTPUT("r10", "r7")
      "ldm r0!, {r6, r7}\n" OUTPUT("r11", "r6") OUTPUT("r12", "r7")
      "ldr r8, [sp, #4]\n"
      "cmp r1, r8\n"
      "bne 2b\n"
      "ldr r1, [sp, #20]\n"
      "ldrd r6, r7, [sp, #12]\n"
      "ldm r1, {r2-r5}\n"
      "asr r9, r9, r6\n"
      "asr r10, r10, r6\n"
      "asr r11, r11, r6\n"
      "asr r12, r12, r6\n"
      "add r2, r2, r9\n"
      "add r3, r3, r10\n"
      "add r4, r4, r11\n"
      "add r5, r5, r12\n"
      "stm r1!, {r2-r5}\n"
      "add r0, r0, r7\n"
      "ldr r8, [sp, #24]\n"
      "str r1, [sp, #20]\n"
      "cmp r1, r8\n"
      "bne 1b\n"
      "add sp, #28\n"
      "pop {r4-r11, pc}\n");
}

static inline uint32_t pair(int32_t low, int32_t high) { return (uint16_t)low | (uint32_t)high << 16; }

/* Sources as they are packed, up to a whole tile. Returns 0 where one of them does not fit: -128 before one above
 * zero. */
static int pack(const int8_t *x, int32_t count, uint32_t *to, int32_t *unsigned_ones) {
  int32_t sum = 0;
  for (int32_t first = 0; first < count; first += 8, to += 4) {
    int8_t last[8] = {0};
    const int8_t *at = x + first;
    if (count - first < 8) {
      for (int32_t i = 0; i < count - first; ++i) last[i] = at[i];
      at = last;
    }
    if ((at[1] == -128 && at[3] > 0) || (at[5] == -128 && at[7] > 0)) return 0;
    sum += at[0] + at[1] + at[2] + at[4] + at[5] + at[6];
    to[0] = pair(at[3], at[7]);
    to[1] = pair(16 * at[2] - at[3], 16 * at[6] - at[7]);
    to[2] = pair(256 * at[1] - at[3], 256 * at[5] - at[7]);
    to[3] = pair(128 * at[0] - 8 * at[1], 128 * at[4] - 8 * at[5]);
  }
  *unsigned_ones = sum;
  return 1;
}

enum { WORDS = KSR_SOURCES_AT_ONCE / 2 };

void ksr_multiply_4_i8_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                           int32_t *acc) {
  uint32_t words[WORDS];
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    int32_t unsigned_ones;
    if (!pack(x + done, now, words, &unsigned_ones)) {
      ksr_multiply_4_i8_portable(matrix, x + done, first + done, now, shift, acc);
      continue;
    }
    groups g = {words, words + part.sources / 2, -8 * 4096 * unsigned_ones, 12 - shift, part.skipped,
                acc, acc + part.others};
    if (part.others) add_groups(&g, part.weights);
    g.acc = acc + part.last;
    g.end = g.acc + part.outputs - part.others;
    add_groups(&g, part.weights + part.others / 4 * (2 * part.sources + part.skipped));
  }
}

#endif /* KSR_DSP && KSR_WITH_WEIGHTS_4 */
