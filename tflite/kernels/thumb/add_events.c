/* The loop over events for Armv6-M and Armv8-M Baseline, which have eight registers for arithmetic and no products that
 * accumulate: weights are taken from a word one after the other, and sums stored two at a time. */
#include "add_events.h"

#ifdef KSR_THUMB1

/* In the order in which the loop loads them for each row. */
typedef struct rows {
  int32_t *acc;
  const uint8_t *index;
  const uint16_t *starts;
  const int8_t *values;
} rows;

/* r0 accumulators, r1 index, r3 weights, r4 value; r8 end of the row's index, r9 `rows`, r10 next event, r11 end of
 * events */
#define LOOP(weights_shift, block, repeat) \
  ".syntax unified\n"              \
  "push {r4-r7, lr}\n"             \
  "mov r4, r8\n"                   \
  "mov r5, r9\n"                   \
  "mov r6, r10\n"                  \
  "mov r7, r11\n"                  \
  "push {r4-r7}\n"                 \
  "mov r9, r0\n"                   \
  "mov r10, r1\n"                  \
  "mov r11, r2\n"                  \
  "1: mov r5, r10\n"               \
  "cmp r5, r11\n"                  \
  "beq 4f\n"                       \
  "movs r7, #2\n"                  \
  "ldrsh r4, [r5, r7]\n"           \
  "ldrh r6, [r5]\n"                \
  "adds r5, #4\n"                  \
  "mov r10, r5\n"                  \
  "mov r7, r9\n"                   \
  "ldmia r7!, {r0-r3}\n"           \
  "lsls r6, r6, #1\n"              \
  "adds r2, r2, r6\n"              \
  "ldrh r5, [r2]\n"                \
  "ldrh r6, [r2, #2]\n"            \
  "adds r7, r1, r6\n"              \
  "mov r8, r7\n"                   \
  "adds r1, r1, r5\n"              \
  "subs r6, r6, r5\n"              \
  "beq 1b\n"                       \
  "lsls r5, r5, #" weights_shift "\n" \
  "adds r3, r3, r5\n"              \
  "lsrs r6, r6, #1\n"              \
  "bcc 2f\n"                       \
  "subs r1, #1\n"                  \
  "b 3f\n"                         \
  "4: pop {r4-r7}\n"               \
  "mov r8, r4\n"                   \
  "mov r9, r5\n"                   \
  "mov r10, r6\n"                  \
  "mov r11, r7\n"                  \
  "pop {r4-r7, pc}\n"              \
  "2:\n" block("0")                \
  "3:\n" block("1")                \
  "adds r1, #2\n"                  \
  "cmp r1, r8\n" repeat            \
  "b 1b\n"

#define NEAR "bne 2b\n"
/* Further than a conditional branch reaches. */
#define FAR "beq 5f\n b 2b\n 5:\n"

/* Four weights onto the accumulators at r0, which go on by four. */
#define ADD_4                \
  "ldmia r3!, {r7}\n"        \
  "sxtb r5, r7\n"            \
  "muls r5, r4, r5\n"        \
  "ldr r2, [r0]\n"           \
  "adds r5, r5, r2\n"        \
  "lsls r6, r7, #16\n"       \
  "asrs r6, r6, #24\n"       \
  "muls r6, r4, r6\n"        \
  "ldr r2, [r0, #4]\n"       \
  "adds r6, r6, r2\n"        \
  "stmia r0!, {r5, r6}\n"    \
  "lsls r6, r7, #8\n"        \
  "asrs r6, r6, #24\n"       \
  "muls r6, r4, r6\n"        \
  "ldr r2, [r0]\n"           \
  "adds r6, r6, r2\n"        \
  "asrs r7, r7, #24\n"       \
  "muls r7, r4, r7\n"        \
  "ldr r2, [r0, #4]\n"       \
  "adds r7, r7, r2\n"        \
  "stmia r0!, {r6, r7}\n"

#define BLOCK(at, shift, weights, size) \
  "ldrb r5, [r1, #" at "]\n"           \
  "lsls r5, r5, #" shift "\n"          \
  "adds r0, r0, r5\n" weights          \
  "subs r0, #" size "\n"

#define BLOCK_4(at) BLOCK(at, "4", ADD_4, "16")
#define BLOCK_8(at) BLOCK(at, "5", ADD_4 ADD_4, "32")
#define BLOCK_16(at) BLOCK(at, "6", ADD_4 ADD_4 ADD_4 ADD_4, "64")

#define DEFINE(name, weights_shift, block, repeat)                                                       \
  __attribute__((naked)) static void name(const rows *r, const ksr_event *event, const ksr_event *end) { \
    __asm__ volatile(LOOP(weights_shift, block, repeat));                                                \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE(add_1x4, "2", BLOCK_4, NEAR)
DEFINE(add_1x8, "3", BLOCK_8, NEAR)
DEFINE(add_1x16, "4", BLOCK_16, FAR)

void ksr_add_events_i8_thumb(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (!matrix->rows16) { /* dense too */
    ksr_add_events_i8_portable(matrix, event, end, acc);
    return;
  }
  const rows r = {acc, matrix->index, matrix->rows16, matrix->values};
  if (ksr_has_blocks_of_4(matrix)) {
    add_1x4(&r, event, end);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_1x8(&r, event, end);
  } else if (KSR_WITH_BLOCKS_16) {
    add_1x16(&r, event, end);
  }
}

#endif /* KSR_THUMB1 */
