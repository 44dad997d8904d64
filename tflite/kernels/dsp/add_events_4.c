/* As add_events.c, for weights of 4 bits: each is widened by one SBFX. */
#include "add_events.h"

#if defined(KSR_DSP) && KSR_WITH_WEIGHTS_4

#include "event_loops.h"

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

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE_LOOPS(add_1x4_of_4_bits, "1", 8, BLOCK_4)
DEFINE_LOOPS(add_1x8_of_4_bits, "2", 4, BLOCK_8)
DEFINE_LOOPS(add_1x16_of_4_bits, "3", 2, BLOCK_16)

static void add(const ksr_matrix *matrix, const void *rows, const void *from, const void *other, int is_vector) {
  if (ksr_has_blocks_of_4(matrix)) {
    add_1x4_of_4_bits(rows, from, other, is_vector);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_1x8_of_4_bits(rows, from, other, is_vector);
  } else if (KSR_WITH_BLOCKS_16) {
    add_1x16_of_4_bits(rows, from, other, is_vector);
  }
}

void ksr_add_events_4_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (ksr_is_by_sources(matrix)) {
    ksr_add_dense_4_dsp(matrix, event, end, acc);
  } else if (!matrix->rows16) {
    ksr_add_events_4_portable(matrix, event, end, acc);
  } else {
    const event_rows rows = {matrix->index, matrix->values, first_of(matrix, acc), matrix->rows16};
    add(matrix, &rows, event, end, 0);
  }
}

void ksr_add_vector_4_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t zero_point,
                          int32_t factor, int32_t *acc) {
  if (!matrix->rows16) { /* dense too */
    ksr_add_vector_i8_portable(matrix, x, first, count, zero_point, factor, acc);
    return;
  }
  const uint16_t *start = matrix->rows16 + first;
  const vector_rows rows = {first_of(matrix, acc), zero_point, factor, x + count, matrix->index + *start,
                            (const int8_t *)matrix->values + *start * matrix->block / 2};
  add(matrix, &rows, x, start, 1);
}

#endif /* KSR_DSP && KSR_WITH_WEIGHTS_4 */
