/* Blocks of weights of 8 bits: two are widened by one SXTB16. */
#include "add_events.h"

#ifdef KSR_DSP

#include "event_loops.h"

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

#define TWO_BLOCKS_4         \
  "ldrb r8, [r5], #1\n"      \
  "ldm r6!, {r0, r9}\n"      \
  "add r7, r7, r8, lsl #4\n" \
  ADD_4("r0", "ldm r7", "stm r7") \
  "ldrb r8, [r5], #1\n"      \
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

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE_LOOPS_OF_PAIRS(add_1x4, "2", BLOCK_4, TWO_BLOCKS_4)
DEFINE_LOOPS(add_1x8, "3", 4, BLOCK_8)
DEFINE_LOOPS(add_1x16, "4", 2, BLOCK_16)

static void add(const ksr_matrix *matrix, const void *rows, const void *from, const void *other, int is_vector) {
  if (ksr_has_blocks_of_4(matrix)) {
    add_1x4(rows, from, other, is_vector);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_1x8(rows, from, other, is_vector);
  } else if (KSR_WITH_BLOCKS_16) {
    add_1x16(rows, from, other, is_vector);
  }
}

void ksr_add_events_i8_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (ksr_is_by_sources(matrix)) {
    ksr_add_dense_dsp(matrix, event, end, acc);
  } else if (!matrix->rows16) {
    ksr_add_events_i8_portable(matrix, event, end, acc);
  } else {
    const event_rows rows = {matrix->index, matrix->values, first_of(matrix, acc), matrix->rows16};
    add(matrix, &rows, event, end, 0);
  }
}

void ksr_add_vector_i8_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t zero_point,
                           int32_t factor, int32_t *acc) {
  if (!matrix->rows16) { /* dense too */
    ksr_add_vector_i8_portable(matrix, x, first, count, zero_point, factor, acc);
    return;
  }
  const uint16_t *start = matrix->rows16 + first;
  const vector_rows rows = {first_of(matrix, acc), zero_point, factor, x + count, matrix->index + *start,
                            (const int8_t *)matrix->values + *start * matrix->block};
  add(matrix, &rows, x, start, 1);
}

#endif /* KSR_DSP */
