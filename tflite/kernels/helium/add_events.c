/* The loop over events for the M-profile vector extension: loads that widen, a product with a scalar, and hardware
 * loops. By hand: compilers of today do not use the latter. */
#include "add_events.h"

#ifdef KSR_HELIUM

#include <arm_mve.h>

enum { SOURCES_AT_ONCE = 64 };

/* In the order in which the loop over events loads them for each row. */
typedef struct event_rows {
  const uint8_t *index;
  const int8_t *values;
  int32_t *acc;
  const uint16_t *starts;
} event_rows;

/* In the order in which the loop over a vector loads them. */
typedef struct vector_rows {
  const uint16_t *starts;
  const uint8_t *index;
  const int8_t *values;
  int32_t *acc;
  int32_t zero_point, factor;
} vector_rows;

/* The r4 blocks of a row, by a hardware loop; or, for short ones, of which there is at least one, without its
 * instruction in each round: jumps to that many blocks before the end of eight. */
#define ROW(block) "wls lr, r4, 3f\n 2:\n" block "le lr, 2b\n"
#define ROW_OF_SHORT(block)                                                                                       \
  "and r8, r4, #7\n tbb [pc, r8]\n"                                                                                \
  "5: .byte (20f-5b)/2, (27f-5b)/2, (26f-5b)/2, (25f-5b)/2, (24f-5b)/2, (23f-5b)/2, (22f-5b)/2, (21f-5b)/2\n"      \
  "20:\n" block "21:\n" block "22:\n" block "23:\n" block "24:\n" block "25:\n" block "26:\n" block "27:\n" block \
  "subs r4, #8\n bgt 20b\n"

/* r0 `event_rows`, r1 next event, r2 end of events, r3 value, r4 blocks, r5 index, r6 weights, r7 accumulators */
#define EVENTS(weights_shift, empty, row) \
  "push {r4-r8, lr}\n"                   \
  "cmp r1, r2\n"                         \
  "bhs 4f\n"                             \
  "1: ldrh r4, [r1], #2\n"               \
  "ldrsh r3, [r1], #2\n"                 \
  "ldm r0, {r5-r8}\n"                    \
  "add r8, r8, r4, lsl #1\n"             \
  "ldrh r4, [r8, #2]\n"                  \
  "ldrh r8, [r8]\n"                      \
  "subs r4, r4, r8\n" empty              \
  "add r5, r5, r8\n"                     \
  "add r6, r6, r8, lsl #" weights_shift "\n" row \
  "3: cmp r1, r2\n"                      \
  "bne 1b\n"                             \
  "4: pop {r4-r8, pc}\n"

/* r0 where the row starts, r1 next value, r2 their end; rows one after the other, so that index and weights are simply
 * read on. r9 accumulators, r10 zero point, r11 factor */
#define VECTOR(weights_shift, empty, row) \
  "push {r4-r11, lr}\n"                  \
  "ldm r0, {r0, r5, r6, r9-r11}\n"       \
  "1: ldrsb r3, [r1], #1\n"              \
  "ldrh r8, [r0], #2\n"                  \
  "ldrh r4, [r0]\n"                      \
  "subs r4, r4, r8\n" empty              \
  "subs r3, r3, r10\n"                   \
  "beq 4f\n"                             \
  "mul r3, r3, r11\n"                    \
  "mov r7, r9\n" row                     \
  "3: cmp r1, r2\n"                      \
  "bne 1b\n"                             \
  "pop {r4-r11, pc}\n"                   \
  "4: add r5, r5, r4\n"                  \
  "add r6, r6, r4, lsl #" weights_shift "\n" \
  "b 3b\n"

#define BLOCK_4                  \
  "ldrb r8, [r5], #1\n"          \
  "vldrb.s32 q0, [r6], #4\n"     \
  "add r7, r7, r8, lsl #4\n"     \
  "vldrw.32 q1, [r7]\n"          \
  "vmla.s32 q1, q0, r3\n"        \
  "vstrw.32 q1, [r7]\n"

/* Eight more accumulators, `at` bytes into the block, whose weights begin at `weights`. */
#define ADD_8(first, second, at, at_second) \
  "vldrb.s32 q0, " first "\n"               \
  "vldrw.32 q1, [r7, #" at "]\n"            \
  "vmla.s32 q1, q0, r3\n"                   \
  "vldrb.s32 q2, " second "\n"              \
  "vldrw.32 q3, [r7, #" at_second "]\n"     \
  "vmla.s32 q3, q2, r3\n"                   \
  "vstrw.32 q1, [r7, #" at "]\n"            \
  "vstrw.32 q3, [r7, #" at_second "]\n"

#define BLOCK_8              \
  "ldrb r8, [r5], #1\n"      \
  "add r7, r7, r8, lsl #5\n" \
  ADD_8("[r6], #4", "[r6], #4", "0", "16")

#define BLOCK_16             \
  "ldrb r8, [r5], #1\n"      \
  "add r7, r7, r8, lsl #6\n" \
  ADD_8("[r6], #4", "[r6], #4", "0", "16") \
  ADD_8("[r6], #4", "[r6], #4", "32", "48")

#define DEFINE(width, weights_shift, empty, row)                                                                    \
  __attribute__((naked)) static void add_events_##width(const event_rows *r, const ksr_event *event,                \
                                                        const ksr_event *end) {                                     \
    __asm__ volatile(".syntax unified\n" EVENTS(weights_shift, empty, row));                                        \
  }                                                                                                                 \
  __attribute__((naked)) static void add_vector_##width(const vector_rows *r, const int8_t *x, const int8_t *end) { \
    __asm__ volatile(".syntax unified\n" VECTOR(weights_shift, empty, row));                                        \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE(1x4, "2", "beq 3f\n", ROW_OF_SHORT(BLOCK_4))
DEFINE(1x8, "3", "", ROW(BLOCK_8))
DEFINE(1x16, "4", "", ROW(BLOCK_16))

void ksr_add_events_i8_helium(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (ksr_is_by_sources(matrix)) {
    ksr_add_dense_helium(matrix, event, end, acc);
    return;
  }
  if (!matrix->rows16) {
    ksr_add_events_i8_portable(matrix, event, end, acc);
    return;
  }
  const event_rows rows = {matrix->index, matrix->values, acc, matrix->rows16};
  if (ksr_has_blocks_of_4(matrix)) {
    add_events_1x4(&rows, event, end);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_events_1x8(&rows, event, end);
  } else if (KSR_WITH_BLOCKS_16) {
    add_events_1x16(&rows, event, end);
  }
}

/* Fewer values of sources from number `first` on than there is room for; returns the end of the list. */
static ksr_event *list(const int8_t *x, int32_t first, int32_t count, int32_t zero_point, int32_t factor,
                       ksr_event *event) {
  for (int32_t j = 0; j < count; ++j) {
    /* Eight at once where none is zero, as in an input that is not held. */
    while (j + 8 <= count) {
      const int16x8_t values = vsubq_n_s16(vldrbq_s16(x + j), (int16_t)zero_point);
      if (vminavq_s16(UINT16_MAX, values) == 0) break;
      const int16x8x2_t pairs = {{vreinterpretq_s16_u16(vidupq_n_u16((uint32_t)(first + j), 1)),
                                  vmulq_n_s16(values, (int16_t)factor)}};
      vst2q_s16((int16_t *)(void *)event, pairs);
      event += 8;
      j += 8;
    }
    if (j == count) break;
    const int32_t value = x[j] - zero_point;
    if (value) *event++ = (ksr_event){(uint16_t)(first + j), (int16_t)(value * factor)};
  }
  return event;
}

void ksr_add_vector_i8_helium(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                              int32_t zero_point, int32_t factor, int32_t *acc) {
  if (!matrix->rows16) { /* dense too */
    for (int32_t j = 0; j < count; j += SOURCES_AT_ONCE) {
      ksr_event events[SOURCES_AT_ONCE];
      const int32_t now = count - j < SOURCES_AT_ONCE ? count - j : SOURCES_AT_ONCE;
      ksr_add_events_i8_helium(matrix, events, list(x + j, first + j, now, zero_point, factor, events), acc);
    }
    return;
  }
  const uint16_t *start = matrix->rows16 + first;
  const vector_rows rows = {start, matrix->index + *start, (const int8_t *)matrix->values + *start * matrix->block,
                            acc, zero_point, factor};
  const int8_t *end = x + count;
  if (ksr_has_blocks_of_4(matrix)) {
    add_vector_1x4(&rows, x, end);
  } else if (ksr_has_blocks_of_8(matrix)) {
    add_vector_1x8(&rows, x, end);
  } else if (KSR_WITH_BLOCKS_16) {
    add_vector_1x16(&rows, x, end);
  }
}

#endif /* KSR_HELIUM */
