/* Dense rows of weights of 4 bits for Armv7E-M and Armv8-M with the DSP extension: two rows at a time, as in
 * add_dense.c. Weights are read 8 too large, without a sign, which is taken off the sums once: 1.9 instructions a
 * product. */
#include "add_events.h"

#if defined(KSR_DSP) && KSR_WITH_WEIGHTS_4

/* r0 first row, r1 second row, r2 accumulators, r3 their end, r4 values of both rows, r7 mask */
#define FOUR                          \
  "ldrh r5, [r0], #2\n"               \
  "ldrh r6, [r1], #2\n"               \
  "orr r5, r5, r6, lsl #16\n"         \
  "eor r5, r5, #0x88888888\n"         \
  "and r6, r7, r5\n"                  \
  "and r8, r7, r5, lsr #4\n"          \
  "and r9, r7, r5, lsr #8\n"          \
  "and r5, r7, r5, lsr #12\n"         \
  "ldm r2, {r10-r12, lr}\n"           \
  "smlad r10, r6, r4, r10\n"          \
  "smlad r11, r8, r4, r11\n"          \
  "smlad r12, r9, r4, r12\n"          \
  "smlad lr, r5, r4, lr\n"            \
  "stm r2!, {r10-r12, lr}\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* acc[0 .. end) += values' products with two rows, 8 too large; a multiple of four of them, at least four. */
__attribute__((naked)) static void add_two_rows(const int8_t *first, const int8_t *second, int32_t *acc,
                                                const int32_t *end, uint32_t values) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldr r4, [sp, #36]\n"
      "mov r7, #0x000f000f\n"
      "sub r5, r3, r2\n"
      "tst r5, #16\n"
      "bne 2f\n"
      "1:\n" FOUR
      "2:\n" FOUR
      "cmp r2, r3\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

/* acc[0 .. end) -= offset; a multiple of four. */
__attribute__((naked)) static void subtract(int32_t *acc, const int32_t *end, uint32_t offset) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r6, lr}\n"
      "1: ldm r0, {r3-r6}\n"
      "sub r3, r3, r2\n"
      "sub r4, r4, r2\n"
      "sub r5, r5, r2\n"
      "sub r6, r6, r2\n"
      "stm r0!, {r3-r6}\n"
      "cmp r0, r1\n"
      "bne 1b\n"
      "pop {r4-r6, pc}\n");
}

void ksr_add_dense_4_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  const uint32_t row = (uint32_t)(others + stride) / 2;
  const int8_t *rows = matrix->values;
  int32_t *last = acc + matrix->slots.last * stride;
  uint32_t sum = 0; /* wraps as the accumulators do */
  if (event == end) return;
  while (event < end) {
    const int8_t *first = rows + row * event->source, *second = first;
    uint32_t values = (uint16_t)event->value;
    sum += (uint32_t)event++->value;
    if (event < end) {
      second = rows + row * event->source;
      values |= (uint32_t)(uint16_t)event->value << 16;
      sum += (uint32_t)event++->value;
    }
    if (others) add_two_rows(first, second, acc, acc + others, values);
    add_two_rows(first + others / 2, second + others / 2, last, last + stride, values);
  }
  if (others) subtract(acc, acc + others, 8 * sum);
  subtract(last, last + stride, 8 * sum);
}

#endif /* KSR_DSP && KSR_WITH_WEIGHTS_4 */
