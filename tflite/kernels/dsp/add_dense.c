/* Dense rows for Armv7E-M and Armv8-M with the DSP extension: two rows at a time, so that one SMLAD does two products:
 * 2.1 instructions a product. */
#include "add_events.h"

#ifdef KSR_DSP

/* r0 first row, r1 second row, r2 accumulators, r3 their end, values of both rows packed on the stack */
#define FOUR                          \
  "ldr r5, [r0], #4\n"                \
  "ldr r6, [r1], #4\n"                \
  "sxtb16 r7, r5\n"                   \
  "sxtb16 r8, r6\n"                   \
  "sxtb16 r5, r5, ror #8\n"           \
  "sxtb16 r6, r6, ror #8\n"           \
  "pkhbt r9, r7, r8, lsl #16\n"       \
  "pkhtb r8, r8, r7, asr #16\n"       \
  "pkhbt r7, r5, r6, lsl #16\n"       \
  "pkhtb r6, r6, r5, asr #16\n"       \
  "ldm r2, {r10-r12, lr}\n"           \
  "smlad r10, r9, r4, r10\n"          \
  "smlad r11, r7, r4, r11\n"          \
  "smlad r12, r8, r4, r12\n"          \
  "smlad lr, r6, r4, lr\n"            \
  "stm r2!, {r10-r12, lr}\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* acc[0 .. end) += values' products with two rows; a multiple of four of them, at least four. */
__attribute__((naked)) static void add_two_rows(const int8_t *first, const int8_t *second, int32_t *acc,
                                                const int32_t *end, uint32_t values) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldr r4, [sp, #36]\n"
      "sub r5, r3, r2\n"
      "tst r5, #16\n"
      "bne 2f\n"
      "1:\n" FOUR
      "2:\n" FOUR
      "cmp r2, r3\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

void ksr_add_dense_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  const int32_t stride = matrix->stride, others = (matrix->slots.gates - 1) * stride;
  const uint32_t row = (uint32_t)(others + stride);
  const int8_t *rows = matrix->values;
  int32_t *last = acc + matrix->slots.last * stride;
  while (event < end) {
    const int8_t *first = rows + row * event->source, *second = first;
    uint32_t values = (uint16_t)event++->value;
    if (event < end) {
      second = rows + row * event->source;
      values |= (uint32_t)(uint16_t)event++->value << 16;
    }
    if (others) add_two_rows(first, second, acc, acc + others, values);
    add_two_rows(first + others, second + others, last, last + stride, values);
  }
}

#endif /* KSR_DSP */
