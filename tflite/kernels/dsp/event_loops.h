/* The loops over events and over the values of a vector for Armv7E-M and Armv8-M with the DSP extension, around what
 * adds a block: four accumulators at a time by LDM and STM. By hand: compilers keep neither the registers in order nor
 * the halves packed. */
#ifndef KSR_DSP_EVENT_LOOPS_H_
#define KSR_DSP_EVENT_LOOPS_H_

#include "ksr_matrix.h"

/* In the order in which the loop over events loads them for each row. */
typedef struct event_rows {
  const uint8_t *index;
  const int8_t *values;
  int32_t *acc;
  const uint16_t *starts;
} event_rows;

/* In the order in which the loop over a vector loads them: four for each row, two once. */
typedef struct vector_rows {
  int32_t *acc;
  int32_t zero_point, factor;
  const int8_t *end;
  const uint8_t *index;
  const int8_t *values;
} vector_rows;

/* Both loops end a row at the same blocks, which go on where the stack says. r3 value, r4 blocks left, r5 index,
 * r6 weights, r7 accumulators; r0, r8 to r12 and lr are free for each block. */

/* The address, in Thumb's way with its last bit set, of what follows an instruction of four bytes. From the program
 * counter, not by ADR, which rounds it to words: compilers that save space do not align functions to them. */
#define NEXT_ROW_AT(r) "mov " r ", pc\n add.w " r ", " r ", #7\n"

/* r1 next event, r2 end of events */
#define EVENTS(weights_shift, blocks)     \
  "ldm r0, {r5-r8}\n" NEXT_ROW_AT("r9")  \
  "push.w {r5-r9}\n"                      \
  "1: cmp r1, r2\n"                       \
  "beq 4f\n"                              \
  "ldrh r4, [r1], #2\n"                   \
  "ldrsh r3, [r1], #2\n"                  \
  "ldm sp, {r5-r8}\n"                     \
  "add r8, r8, r4, lsl #1\n"              \
  "ldrh r4, [r8, #2]\n"                   \
  "ldrh r8, [r8]\n"                       \
  "subs r4, r4, r8\n"                     \
  "beq 1b\n"                              \
  "add r5, r5, r8\n"                      \
  "add r6, r6, r8, lsl #" weights_shift "\n" blocks

/* r1 next value, r2 where the rows start: one after the other, so that index and weights are simply read on. */
#define VECTOR(weights_shift, blocks)     \
  "2: ldm r0!, {r7-r10}\n"                \
  "ldm r0, {r5, r6}\n" NEXT_ROW_AT("r11") \
  "push.w {r7-r11}\n"                     \
  "3: ldm sp, {r7-r10}\n"                 \
  "cmp r1, r10\n"                         \
  "beq 4f\n"                              \
  "ldrh r4, [r2]\n"                       \
  "ldrh r10, [r2, #2]!\n"                 \
  "ldrsb r3, [r1], #1\n"                  \
  "subs r4, r10, r4\n"                    \
  "beq 3b\n"                              \
  "subs r3, r3, r8\n"                     \
  "beq 5f\n"                              \
  "mul r3, r3, r9\n" blocks               \
  "4: add sp, #20\n"                      \
  "pop {r4-r11, pc}\n"                    \
  "5: add r5, r5, r4\n"                   \
  "add r6, r6, r4, lsl #" weights_shift "\n" \
  "b 3b\n"

/* To that many blocks before the end of the unrolled loop. */
#define JUMP_8                                                                                                 \
  "and r8, r4, #7\n tbb [pc, r8]\n"                                                                            \
  "6: .byte (20f-6b)/2, (27f-6b)/2, (26f-6b)/2, (25f-6b)/2, (24f-6b)/2, (23f-6b)/2, (22f-6b)/2, (21f-6b)/2\n"
#define JUMP_4 "and r8, r4, #3\n tbb [pc, r8]\n 6: .byte (20f-6b)/2, (23f-6b)/2, (22f-6b)/2, (21f-6b)/2\n"
#define JUMP_2 "and r8, r4, #1\n tbb [pc, r8]\n 6: .byte (20f-6b)/2, (21f-6b)/2\n"

#define NEXT(unrolled, first) "subs r4, #" unrolled "\n bgt " first "\n ldr pc, [sp, #16]\n"
#define LOOP_2(block) "20:\n" block "21:\n" block
#define LOOP_4(block) LOOP_2(block) "22:\n" block "23:\n" block
#define LOOP_8(block) LOOP_4(block) "24:\n" block "25:\n" block "26:\n" block "27:\n" block

/* Likewise for blocks that are added by pairs: labels say how many are left. */
#define JUMP_PAIRS                                                                                             \
  "and r8, r4, #7\n tbh [pc, r8, lsl #1]\n"                                                                    \
  "6: .hword (28f-6b)/2, (21f-6b)/2, (22f-6b)/2, (23f-6b)/2, (24f-6b)/2, (25f-6b)/2, (26f-6b)/2, (27f-6b)/2\n"
#define LOOP_PAIRS(block, pair)                     \
  "21:\n" block NEXT("1", "28f")                    \
  "23:\n" block "b 22f\n"                           \
  "25:\n" block "b 24f\n"                           \
  "27:\n" block "b 26f\n"                           \
  "28:\n" pair "26:\n" pair "24:\n" pair "22:\n" pair NEXT("8", "28b")

/* From event_rows, events and their end; or, with `is_vector`, vector_rows, values and where the rows start. */
#define DEFINE_LOOP(name, weights_shift, jump, loop)                                                              \
  __attribute__((naked)) static void name(const void *rows, const void *from, const void *other, int is_vector) { \
    __asm__ volatile(".syntax unified\n push {r4-r11, lr}\n cmp r3, #0\n bne 2f\n" EVENTS(weights_shift, jump)   \
                     VECTOR(weights_shift, jump loop));                                                           \
  }

#define DEFINE_LOOPS(name, weights_shift, unrolled, block) \
  DEFINE_LOOP(name, weights_shift, JUMP_##unrolled, LOOP_##unrolled(block) NEXT(#unrolled, "20b"))
#define DEFINE_LOOPS_OF_PAIRS(name, weights_shift, block, pair) \
  DEFINE_LOOP(name, weights_shift, JUMP_PAIRS, LOOP_PAIRS(block, pair))

/* Accumulators from which the blocks count. */
static inline int32_t *first_of(const ksr_matrix *matrix, int32_t *acc) {
  return matrix->block == 4 ? acc : acc + 4;
}

#endif /* KSR_DSP_EVENT_LOOPS_H_ */
