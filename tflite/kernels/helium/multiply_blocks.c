/* Products with blocks that are several sources high and one output wide for the M-profile vector extension: a row's
 * sources stay in registers while its blocks go by; a block of sixteen sources takes eight instructions, smaller ones
 * seven. */
#include "multiply.h"

#if defined(KSR_HELIUM) && KSR_WITH_HIGH_BLOCKS

#include <arm_mve.h>

/* In the order in which they are loaded. */
typedef struct high_rows {
  const void *x;
  const uint16_t *start, *end;
  int32_t *acc;
  int32_t factor; /* where x is of 8 bits */
  const uint8_t *index;
  const int8_t *values;
} high_rows;

/* r0 next sources, r1 where the next row starts, r2 the end of these, r3 accumulators, r4 factor, r5 index, r6 weights,
 * r7 accumulator; q1 and q2 sources, r8 to r10 and r12 free for each block */
#define DEFINE_HIGH(name, sources, weights, products)                        \
  __attribute__((naked)) static void name(const high_rows *rows) {           \
    __asm__ volatile(                                                        \
        ".syntax unified\n"                                                  \
        "push {r4-r10, lr}\n"                                                \
        "ldm r0, {r0-r6}\n"                                                  \
        "1: ldrh r8, [r1], #2\n"                                             \
        "ldrh r9, [r1]\n" sources                                            \
        "mov r7, r3\n"                                                       \
        "sub r9, r9, r8\n"                                                   \
        "wls lr, r9, 3f\n"                                                   \
        "2: ldrb r8, [r5], #1\n" weights                                     \
        "add r7, r7, r8, lsl #2\n"                                           \
        "ldr r10, [r7]\n" products                                           \
        "str r10, [r7]\n"                                                    \
        "le lr, 2b\n"                                                        \
        "3: cmp r1, r2\n"                                                    \
        "bne 1b\n"                                                           \
        "pop {r4-r10, pc}\n");                                               \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE_HIGH(add_rows_of_4, "vldrh.s32 q1, [r0], #8\n", "vldrb.s32 q0, [r6], #4\n", "vmlava.s32 r10, q0, q1\n")
DEFINE_HIGH(add_rows_of_8, "vldrh.s16 q1, [r0], #16\n", "vldrb.s16 q0, [r6], #8\n", "vmlava.s16 r10, q0, q1\n")
DEFINE_HIGH(add_rows_of_16_i8, "vldrb.8 q1, [r0], #16\n", "vldrb.8 q0, [r6], #16\n",
            "vmlav.s8 r12, q0, q1\n mla r10, r12, r4, r10\n")
#if KSR_WITH_INT16
DEFINE_HIGH(add_rows_of_16_i16, "vldrh.s16 q1, [r0], #16\n vldrh.s16 q2, [r0], #16\n",
            "vldrb.s16 q0, [r6], #8\n vldrb.s16 q3, [r6], #8\n",
            "vmlava.s16 r10, q0, q1\n vmlava.s16 r10, q3, q2\n")
#endif

static void add(void (*rows_of)(const high_rows *), const ksr_matrix *matrix, int32_t row, int32_t rows, const void *x,
                int32_t factor, int32_t *acc) {
  const uint16_t *start = matrix->rows16 + row;
  const high_rows all = {x, start, start + rows, acc, factor, matrix->index + *start,
                         (const int8_t *)matrix->values + *start * matrix->height};
  rows_of(&all);
}

static int is_for_portable(const ksr_matrix *matrix) {
  return !matrix->rows16 || (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix));
}

void ksr_multiply_blocks_i8_helium(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                   int32_t shift, int32_t *acc) {
  const int32_t height = matrix->height;
  if (is_for_portable(matrix)) {
    ksr_multiply_blocks_i8_portable(matrix, x, first, count, shift, acc);
    return;
  }
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    union {
      int8_t bytes[KSR_SOURCES_AT_ONCE];
      int16_t halves[KSR_SOURCES_AT_ONCE];
    } sources; /* up to whole vectors, with zeros behind them */
    const int32_t now = count - done < KSR_SOURCES_AT_ONCE ? count - done : KSR_SOURCES_AT_ONCE;
    const int32_t row = (first + done) / height, rows = (now + height - 1) / height;
    if (height == 16) {
      for (int32_t i = 0; i < now; i += 16) {
        vstrbq_s8(sources.bytes + i, vldrbq_z_s8(x + done + i, vctp8q((uint32_t)(now - i))));
      }
      add(add_rows_of_16_i8, matrix, row, rows, sources.bytes, 1 << shift, acc);
      continue;
    }
    for (int32_t i = 0; i < now; i += 8) {
      const int16x8_t eight = vldrbq_z_s16(x + done + i, vctp16q((uint32_t)(now - i)));
      vstrhq_s16(sources.halves + i, vshlq_r_s16(eight, shift));
    }
    add(height == 4 ? add_rows_of_4 : add_rows_of_8, matrix, row, rows, sources.halves, 1, acc);
  }
}

#if KSR_WITH_INT16
void ksr_multiply_blocks_i16_helium(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count,
                                    int32_t shift, int32_t *acc) {
  const int32_t height = matrix->height;
  if (is_for_portable(matrix)) {
    ksr_multiply_blocks_i16_portable(matrix, x, first, count, shift, acc);
    return;
  }
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    int16_t sources[KSR_SOURCES_AT_ONCE];
    const int32_t now = count - done < KSR_SOURCES_AT_ONCE ? count - done : KSR_SOURCES_AT_ONCE;
    const int32_t padded = (now + height - 1) & -height;
    for (int32_t i = 0; i < padded; i += 8) {
      const uint32_t left = now > i ? (uint32_t)(now - i) : 0;
      vstrhq_s16(sources + i, vshlq_r_s16(vldrhq_z_s16(x + done + i, vctp16q(left)), shift));
    }
    add(height == 4 ? add_rows_of_4 : height == 8 ? add_rows_of_8 : add_rows_of_16_i16, matrix,
        (first + done) / height, padded / height, sources, 1, acc);
  }
}
#endif

#endif /* KSR_HELIUM && KSR_WITH_HIGH_BLOCKS */
