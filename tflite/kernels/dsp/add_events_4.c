/* As add_events.c, for weights of 4 bits: each is widened by one SBFX. */
#include "add_events.h"

#if defined(KSR_DSP) && KSR_WITH_WEIGHTS_4

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

#define NEXT(unrolled) "subs r4, #" unrolled "\n bgt 20b\n ldr pc, [sp, #16]\n"
#define LOOP_2(block) "20:\n" block "21:\n" block
#define LOOP_4(block) LOOP_2(block) "22:\n" block "23:\n" block
#define LOOP_8(block) LOOP_4(block) "24:\n" block "25:\n" block "26:\n" block "27:\n" block

/* Four weights in register w from bit `first` on, times r3, onto four accumulators. */
#define ADD_4(w, first, load, store)             \
  load ", {r10-r12, lr}\n"                       \
  "sbfx r8, " w ", #" first ", #4\n"             \
  "mla r10, r8, r3, r10\n"                       \
  "sbfx r8, " w ", #" first " + 4, #4\n"         \
  "mla r11, r8, r3, r11\n"                       \
  "sbfx r8, " w ", #" first " + 8, #4\n"         \
  "mla r12, r8, r3, r12\n"                       \
  "sbfx r8, " w ", #" first " + 12, #4\n"        \
  "mla lr, r8, r3, lr\n"                         \
  store ", {r10-r12, lr}\n"

#define BLOCK_4              \
  "ldrb r8, [r5], #1\n"      \
  "ldrh r9, [r6], #2\n"      \
  "add r7, r7, r8, lsl #4\n" \
  ADD_4("r9", "0", "ldm r7", "stm r7")

/* r7 stays in the middle of a block: one half below, one above. */
#define BLOCK_8                                   \
  "ldrb r8, [r5], #1\n"                           \
  "ldr r9, [r6], #4\n"                            \
  "add r7, r7, r8, lsl #5\n"                      \
  ADD_4("r9", "0", "ldmdb r7", "stmdb r7")        \
  ADD_4("r9", "16", "ldm r7", "stm r7")

#define BLOCK_16                                  \
  "ldrb r8, [r5], #1\n"                           \
  "ldm r6!, {r0, r9}\n"                           \
  "add r7, r7, r8, lsl #6\n"                      \
  ADD_4("r0", "0", "ldmdb r7", "stmdb r7")        \
  ADD_4("r0", "16", "ldm r7", "stm r7!")          \
  ADD_4("r9", "0", "ldm r7", "stm r7!")           \
  ADD_4("r9", "16", "ldm r7", "stm r7")           \
  "sub r7, #32\n"

/* From event_rows, events and their end; or, with `is_vector`, vector_rows, values and where the rows start. */
#define DEFINE(name, weights_shift, unrolled, block)                                                              \
  __attribute__((naked)) static void name(const void *rows, const void *from, const void *other, int is_vector) { \
    __asm__ volatile(".syntax unified\n push {r4-r11, lr}\n cmp r3, #0\n bne 2f\n"                               \
                     EVENTS(weights_shift, JUMP_##unrolled)                                                       \
                     VECTOR(weights_shift, JUMP_##unrolled LOOP_##unrolled(block) NEXT(#unrolled)));              \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE(add_1x4_of_4_bits, "1", 8, BLOCK_4)
DEFINE(add_1x8_of_4_bits, "2", 4, BLOCK_8)
DEFINE(add_1x16_of_4_bits, "3", 2, BLOCK_16)

static void add(const ksr_matrix *matrix, const void *rows, const void *from, const void *other, int is_vector) {
  if (ksr_has_blocks_of_4(matrix)) {
    add_1x4_of_4_bits(rows, from, other, is_vector);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_1x8_of_4_bits(rows, from, other, is_vector);
  } else if (KSR_WITH_BLOCKS_16) {
    add_1x16_of_4_bits(rows, from, other, is_vector);
  }
}

/* Accumulators from which the blocks count. */
static int32_t *first_of(const ksr_matrix *matrix, int32_t *acc) { return matrix->block == 4 ? acc : acc + 4; }

void ksr_add_events_4_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (!matrix->rows16) { /* dense too */
    ksr_add_events_4_portable(matrix, event, end, acc);
    return;
  }
  const event_rows rows = {matrix->index, matrix->values, first_of(matrix, acc), matrix->rows16};
  add(matrix, &rows, event, end, 0);
}

void ksr_add_vector_4_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t zero_point, int32_t factor, int32_t *acc) {
  if (!matrix->rows16) {
    ksr_add_vector_i8_portable(matrix, x, zero_point, factor, acc);
    return;
  }
  const vector_rows rows = {first_of(matrix, acc), zero_point,     factor,
                            x + matrix->sources,   matrix->index, matrix->values};
  add(matrix, &rows, x, matrix->rows16, 1);
}

#endif /* KSR_DSP && KSR_WITH_WEIGHTS_4 */
