/* The loop over events for Armv7E-M and Armv8-M with the DSP extension: four accumulators at a time by LDM and STM, two
 * weights widened by one SXTB16. By hand: compilers keep neither the registers in order nor the halves packed. */
#include "add_events.h"

#ifdef KSR_DSP

/* In the order in which the loops load them. */
typedef struct rows {
  const uint8_t *index;
  const int8_t *values;
  int32_t *acc;
  const uint16_t *starts;
} rows;

/* r0 to r3, r9: per block; r1 next event, r2 end of events, r3 value, r4 blocks left, r5 index, r6 weights,
 * r7 accumulators. For each row a copy of `rows` is loaded from the stack. */
#define BEGIN(weights_shift)             \
  "push {r4-r11, lr}\n"                  \
  "ldm r0, {r5-r8}\n"                    \
  "push {r5-r8}\n"                       \
  "cmp r1, r2\n"                         \
  "bhs 5f\n"                             \
  "1: ldrh r4, [r1], #2\n"               \
  "ldrsh r3, [r1], #2\n"                 \
  "ldm sp, {r5-r8}\n"                    \
  "add r8, r8, r4, lsl #1\n"             \
  "ldrh r4, [r8, #2]\n"                  \
  "ldrh r8, [r8]\n"                      \
  "subs r4, r4, r8\n"                    \
  "beq 4f\n"                             \
  "add r5, r5, r8\n"                     \
  "add r6, r6, r8, lsl #" weights_shift "\n"

#define END         \
  "4: cmp r1, r2\n" \
  "bne 1b\n"        \
  "5: add sp, #16\n" \
  "pop {r4-r11, pc}\n"

/* Four blocks an iteration, after the one to three that are over. */
#define LOOP(block)          \
  "lsls r8, r4, #31\n"       \
  "bpl 6f\n" block           \
  "6: lsls r8, r4, #30\n"    \
  "bpl 7f\n" block block     \
  "7: lsrs r4, r4, #2\n"     \
  "beq 4f\n"                 \
  "2:\n" block block block block \
  "subs r4, #1\n"           \
  "bne 2b\n"

/* Four weights in register w, times r3, onto four accumulators. */
#define ADD_4(w, load, store)           \
  "sxtb16 r8, " w "\n"                  \
  "sxtb16 " w ", " w ", ror #8\n"       \
  load ", {r10-r12, lr}\n"              \
  "smlabb r10, r8, r3, r10\n"           \
  "smlabb r11, " w ", r3, r11\n"        \
  "smlatb r12, r8, r3, r12\n"           \
  "smlatb lr, " w ", r3, lr\n"          \
  store ", {r10-r12, lr}\n"

#define BLOCK_4              \
  "ldrb r8, [r5], #1\n"      \
  "ldr r9, [r6], #4\n"       \
  "add r7, r7, r8, lsl #4\n" \
  ADD_4("r9", "ldm r7", "stm r7")

/* r7 stays in the middle of a block: one half below, one above. */
#define BLOCK_8                                   \
  "ldrb r8, [r5], #1\n"                           \
  "ldm r6!, {r0, r9}\n"                           \
  "add r7, r7, r8, lsl #5\n"                      \
  ADD_4("r0", "ldmdb r7", "stmdb r7")             \
  ADD_4("r9", "ldm r7", "stm r7")

#define BLOCK_16                                  \
  "ldrb r8, [r5], #1\n"                           \
  "ldm r6!, {r0, r9}\n"                           \
  "add r7, r7, r8, lsl #6\n"                      \
  ADD_4("r0", "ldmdb r7", "stmdb r7")             \
  ADD_4("r9", "ldm r7", "stm r7!")                \
  "ldm r6!, {r0, r9}\n"                           \
  ADD_4("r0", "ldm r7", "stm r7!")                \
  ADD_4("r9", "ldm r7", "stm r7")                 \
  "sub r7, #32\n"

#define DEFINE(name, weights_shift, block)                                                                 \
  __attribute__((naked)) static void name(const rows *r, const ksr_event *event, const ksr_event *end) {   \
    __asm__ volatile(".syntax unified\n" BEGIN(weights_shift) LOOP(block) END);                            \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE(add_1x4, "2", BLOCK_4)
DEFINE(add_1x8, "3", BLOCK_8)
DEFINE(add_1x16, "4", BLOCK_16)

int ksr_add_events_dsp(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc) {
  if (!matrix->rows16) return 0;
  rows r = {matrix->index, matrix->values, acc, matrix->rows16};
  if (matrix->block == 4) {
    add_1x4(&r, events, end);
  } else {
    r.acc += 4;
    if (matrix->block == 8) {
      add_1x8(&r, events, end);
    } else {
      add_1x16(&r, events, end);
    }
  }
  return 1;
}

#endif /* KSR_DSP */

typedef int ksr_add_events_dsp_is_not_empty;
