/* Products with dense matrices for the M-profile vector extension: sixteen by one VMLAVA, four outputs at a time. */
#include "multiply.h"

#ifdef KSR_HELIUM

#include <arm_mve.h>

/* In the order in which they are loaded; the last four registers are free for sums and loops between. */
typedef struct groups {
  const uint8_t *weights;
  const int8_t *x;
  int32_t *acc;
  const int32_t *end;
  int32_t tiles;     /* of sixteen sources */
  int32_t has_eight; /* whether a tile of eight follows, the sources of which are there twice */
  int32_t shift;
  int32_t skipped; /* bytes of a group's weights that belong to other sources */
} groups;

/* Weights of even sources are 128 too large: a flipped bit. */
#define OUTPUT(sum, weights)          \
  "vldrb.8 " weights ", [r0], #16\n"  \
  "veor " weights ", " weights ", q3\n"

/* Two outputs' weights of eight sources a vector: one half is predicated, then the other. Each VPSTE leaves the
 * predicate inverted.
 *
 * r0 weights, r1 x, r2 accumulators, r3 their end, r5 tiles, r7 whether eight follow, r9 shift, r11 skipped, r12 begin
 * of x; r4, r6, r8 and r10 sums */
#pragma GCC diagnostic ignored "-Wunused-parameter"
__attribute__((naked)) static void add_groups(const groups *g) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "mov r10, r0\n"
      "ldm r10!, {r0-r3}\n"
      "ldm r10, {r5, r7, r9, r11}\n"
      "mov r12, r1\n"
      "movs r4, #8\n"
      "vctp.8 r4\n"
      "vmov.i16 q3, #0x80\n"
      "1: mov r1, r12\n"
      "movs r4, #0\n"
      "movs r6, #0\n"
      "mov r8, #0\n"
      "mov r10, #0\n"
      "wls lr, r5, 3f\n"
      "2: vldrb.8 q0, [r1], #16\n"
      OUTPUT("r4", "q1") OUTPUT("r6", "q2")
      "vmlava.s8 r4, q0, q1\n"
      "vmlava.s8 r6, q0, q2\n"
      OUTPUT("r8", "q1") OUTPUT("r10", "q2")
      "vmlava.s8 r8, q0, q1\n"
      "vmlava.s8 r10, q0, q2\n"
      "le lr, 2b\n"
      "3: cbz r7, 4f\n"
      "vldrb.8 q0, [r1]\n"
      OUTPUT("r4", "q1") OUTPUT("r8", "q2")
      "vpste\n"
      "vmlavat.s8 r4, q0, q1\n"
      "vmlavae.s8 r6, q0, q1\n"
      "vpste\n"
      "vmlavat.s8 r10, q0, q2\n"
      "vmlavae.s8 r8, q0, q2\n"
      "4: vmov q1[2], q1[0], r4, r8\n"
      "vmov q1[3], q1[1], r6, r10\n"
      "vldrw.32 q2, [r2]\n"
      "vshl.s32 q1, r9\n"
      "add r0, r11\n"
      "vadd.i32 q1, q1, q2\n"
      "vstrw.32 q1, [r2], #16\n"
      "cmp r2, r3\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

void ksr_multiply_i8_helium(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t shift,
                            int32_t *acc) {
  int8_t sources[KSR_SOURCES_AT_ONCE + 16];
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    const int32_t whole = part.sources & ~15;
    for (int32_t j = 0; j < now; j += 16) {
      vstrbq_s8(sources + j, vldrbq_z_s8(x + done + j, vctp8q((uint32_t)(now - j))));
    }
    for (int32_t j = whole; j < part.sources; ++j) sources[j + 8] = sources[j];
    groups g = {part.weights, sources, acc, acc + part.others, whole / 16, part.sources & 8, shift, part.skipped};
    if (part.others) add_groups(&g);
    g.weights += part.others * (part.sources + part.skipped / 4);
    g.acc = acc + part.last;
    g.end = g.acc + part.outputs - part.others;
    add_groups(&g);
  }
}

#endif /* KSR_HELIUM */
