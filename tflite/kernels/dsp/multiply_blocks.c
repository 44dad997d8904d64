/* Products with blocks that are several sources high and one output wide for Armv7E-M and Armv8-M with the DSP
 * extension: a row's sources stay in registers, two in each, while its blocks go by. 2.4, 1.7 and 1.6 instructions a
 * product for blocks of 4, 8 and 16 sources. */
#include "multiply.h"

#if defined(KSR_DSP) && KSR_WITH_HIGH_BLOCKS

#include <string.h>

#include "event_loops.h"

/* In the order in which they are loaded. */
typedef struct high_rows {
  const uint32_t *x; /* of four sources the even ones, then the odd ones */
  const uint16_t *start, *end;
  int32_t *acc;
  const uint8_t *index;
  const int8_t *values;
} high_rows;

/* Four weights in register w: their products with two pairs onto `sum`; t is lost, too. */
#define ADD_PRODUCTS(w, even, odd, t, sum)       \
  "sxtb16 " t ", " w "\n"                        \
  "smlad " sum ", " t ", " even ", " sum "\n"    \
  "sxtb16 " w ", " w ", ror #8\n"                \
  "smlad " sum ", " w ", " odd ", " sum "\n"

/* r10, r11 sources */
#define HIGH_4                    \
  "ldrb r8, [r5], #1\n"           \
  "ldr r9, [r6], #4\n"            \
  "add r7, r7, r8, lsl #2\n"      \
  "ldr r12, [r7]\n"               \
  ADD_PRODUCTS("r9", "r10", "r11", "r8", "r12") \
  "str r12, [r7]\n"

/* r0 to r3 sources */
#define HIGH_8                    \
  "ldrb r8, [r5], #1\n"           \
  "ldm r6!, {r9, r10}\n"          \
  "add r7, r7, r8, lsl #2\n"      \
  "ldr r12, [r7]\n"               \
  ADD_PRODUCTS("r9", "r0", "r1", "r8", "r12")  \
  ADD_PRODUCTS("r10", "r2", "r3", "r8", "r12") \
  "str r12, [r7]\n"

#define FOUR_OF_16(even, odd) "ldr r4, [r6], #4\n" ADD_PRODUCTS("r4", even, odd, "r12", "lr")

/* r0 to r3, r8 to r11 sources */
#define HIGH_16                   \
  "ldrb r12, [r5], #1\n"          \
  "add r7, r7, r12, lsl #2\n"     \
  "ldr lr, [r7]\n"                \
  FOUR_OF_16("r0", "r1") FOUR_OF_16("r2", "r3") FOUR_OF_16("r8", "r9") FOUR_OF_16("r10", "r11") \
  "str lr, [r7]\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* r0 next sources, r1 where the next row starts, r2 the end of these, r3 accumulators, r4 blocks left, r5 index,
 * r6 weights, r7 accumulator */
__attribute__((naked)) static void add_rows_of_4(const high_rows *rows) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldm r0, {r0-r3, r5, r6}\n"
      "1: cmp r1, r2\n"
      "beq 2f\n"
      "ldrd r10, r11, [r0], #8\n"
      "ldrh r8, [r1], #2\n"
      "ldrh r4, [r1]\n"
      "mov r7, r3\n"
      "subs r4, r4, r8\n"
      "beq 1b\n"
      JUMP_8 LOOP_8(HIGH_4)
      "subs r4, #8\n"
      "bgt 20b\n"
      "b 1b\n"
      "2: pop {r4-r11, pc}\n");
}

/* Likewise; the first four on the stack. */
__attribute__((naked)) static void add_rows_of_8(const high_rows *rows) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldm r0, {r0-r3, r5, r6}\n"
      "push {r0-r3}\n"
      "1: ldm sp, {r8-r11}\n"
      "cmp r9, r10\n"
      "beq 2f\n"
      "ldm r8!, {r0-r3}\n"
      "ldrh r4, [r9], #2\n"
      "ldrh r12, [r9]\n"
      "strd r8, r9, [sp]\n"
      "mov r7, r11\n"
      "subs r4, r12, r4\n"
      "beq 1b\n"
      JUMP_4 LOOP_4(HIGH_8)
      "subs r4, #4\n"
      "bgt 20b\n"
      "b 1b\n"
      "2: add sp, #16\n"
      "pop {r4-r11, pc}\n");
}

/* Likewise, and the end of a row's index on the stack. */
__attribute__((naked)) static void add_rows_of_16(const high_rows *rows) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldm r0, {r0-r3, r5, r6}\n"
      "push {r0-r4}\n"
      "1: ldm sp, {r0-r3}\n"
      "cmp r1, r2\n"
      "beq 2f\n"
      "ldrh r4, [r1], #2\n"
      "ldrh r12, [r1]\n"
      "mov r7, r3\n"
      "mov lr, r0\n"
      "str r1, [sp, #4]\n"
      "ldm lr!, {r0-r3, r8-r11}\n"
      "str lr, [sp]\n"
      "subs r4, r12, r4\n"
      "beq 1b\n"
      "add r12, r5, r4\n"
      "str r12, [sp, #16]\n"
      "lsls r4, r4, #31\n"
      "bne 21f\n"
      LOOP_2(HIGH_16)
      "ldr r12, [sp, #16]\n"
      "cmp r5, r12\n"
      "bne 20b\n"
      "b 1b\n"
      "2: add sp, #20\n"
      "pop {r4-r11, pc}\n");
}

enum { PAIRS = KSR_SOURCES_AT_ONCE / 2 };

static void add_rows(const ksr_matrix *matrix, int32_t first, int32_t count, const uint32_t *x, int32_t *acc) {
  const int32_t height = matrix->height;
  const uint16_t *start = matrix->rows16 + first / height;
  const high_rows rows = {x, start, start + (count + height - 1) / height, acc, matrix->index + *start,
                          (const int8_t *)matrix->values + *start * height};
  if (height == 4) {
    add_rows_of_4(&rows);
  } else if (height == 8) {
    add_rows_of_8(&rows);
  } else {
    add_rows_of_16(&rows);
  }
}

static int is_for_portable(const ksr_matrix *matrix) {
  return !matrix->rows16 || (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix));
}

/* Up to four sources from number i on of `count`, zeros behind them. */
static uint32_t four_at(const int8_t *x, int32_t i, int32_t count) {
  uint32_t four = 0;
  if (count - i >= 4) {
    memcpy(&four, x + i, 4);
  } else if (count > i) {
    for (int32_t k = 0; k < count - i; ++k) four |= (uint32_t)(uint8_t)x[i + k] << 8 * k;
  }
  return four;
}

void ksr_multiply_blocks_i8_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                                int32_t *acc) {
  if (is_for_portable(matrix)) {
    ksr_multiply_blocks_i8_portable(matrix, x, first, count, shift, acc);
    return;
  }
  const uint32_t mask = 0xffff0000u << shift | 0xffffu; /* what a shift of two halves leaves of each */
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    uint32_t pairs[PAIRS], *to = pairs;
    const int32_t now = count - done < KSR_SOURCES_AT_ONCE ? count - done : KSR_SOURCES_AT_ONCE;
    const int32_t padded = (now + matrix->height - 1) & -matrix->height;
    for (int32_t i = 0; i < padded; i += 4, to += 2) {
      const uint32_t four = four_at(x + done, i, now);
      uint32_t even, odd;
      __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(four));
      __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(four));
      to[0] = even << shift & mask;
      to[1] = odd << shift & mask;
    }
    add_rows(matrix, first + done, now, pairs, acc);
  }
}

#if KSR_WITH_INT16
void ksr_multiply_blocks_i16_dsp(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                 int32_t shift, int32_t *acc) {
  if (is_for_portable(matrix)) {
    ksr_multiply_blocks_i16_portable(matrix, x, first, count, shift, acc);
    return;
  }
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    uint32_t pairs[PAIRS], *to = pairs;
    const int32_t now = count - done < KSR_SOURCES_AT_ONCE ? count - done : KSR_SOURCES_AT_ONCE;
    const int32_t padded = (now + matrix->height - 1) & -matrix->height;
    for (int32_t i = 0; i < padded; i += 4, to += 2) {
      uint32_t four[4] = {0};
      for (int32_t k = 0; k < 4 && i + k < now; ++k) four[k] = (uint32_t)x[done + i + k] << shift;
      to[0] = (four[0] & 0xffffu) | four[2] << 16;
      to[1] = (four[1] & 0xffffu) | four[3] << 16;
    }
    add_rows(matrix, first + done, now, pairs, acc);
  }
}
#endif

#endif /* KSR_DSP && KSR_WITH_HIGH_BLOCKS */
