/* As multiply.c, for sources in 16 bits: weights are widened, eight products by one VMLAVA. */
#include "multiply.h"

#if defined(KSR_HELIUM) && KSR_WITH_INT16

/* In the order in which they are loaded; the last two registers are free for sums between. */
typedef struct wide_groups {
  const uint8_t *weights;
  const int16_t *x;
  int32_t *acc;
  const int32_t *end;
  int32_t tiles;     /* of sixteen sources */
  int32_t has_eight; /* whether a tile of eight follows */
  int32_t start;     /* weights of even sources are 128 too large */
  int32_t skipped;   /* bytes of a group's weights that belong to other sources */
} wide_groups;

/* An output's weights of sixteen sources, the even ones of which are in q0, and of eight in q0. */
#define SIXTEEN(sum)                   \
  "vldrb.8 q2, [r0], #16\n"            \
  "vmovlb.u8 q3, q2\n"                 \
  "vmlava.s16 " sum ", q0, q3\n"       \
  "vmovlt.s8 q2, q2\n"                 \
  "vmlava.s16 " sum ", q1, q2\n"

#define EIGHT(sum)                     \
  "vldrb.s16 q2, [r0], #8\n"           \
  "vand q2, q2, q3\n"                  \
  "vmlava.s16 " sum ", q0, q2\n"

/* r0 weights, r1 x, r2 accumulators, r3 their end, r5 tiles, r7 whether eight follow, r9 start, r11 skipped, r12 begin
 * of x; r4, r6, r8 and r10 sums */
#pragma GCC diagnostic ignored "-Wunused-parameter"
__attribute__((naked)) static void add_wide_groups(const wide_groups *g) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "mov r10, r0\n"
      "ldm r10!, {r0-r3}\n"
      "ldm r10, {r5, r7, r9, r11}\n"
      "mov r12, r1\n"
      "1: mov r1, r12\n"
      "mov r4, r9\n"
      "mov r6, r9\n"
      "mov r8, r9\n"
      "mov r10, r9\n"
      "wls lr, r5, 3f\n"
      "2: vld20.16 {q0, q1}, [r1]\n"
      "vld21.16 {q0, q1}, [r1]!\n"
      SIXTEEN("r4") SIXTEEN("r6") SIXTEEN("r8") SIXTEEN("r10")
      "le lr, 2b\n"
      "3: cbz r7, 4f\n"
      "vldrh.16 q0, [r1]\n"
      "vmvn.i32 q3, #0xff00\n" /* weights of odd sources have a sign */
      EIGHT("r4") EIGHT("r6") EIGHT("r8") EIGHT("r10")
      "4: vmov q1[2], q1[0], r4, r8\n"
      "vmov q1[3], q1[1], r6, r10\n"
      "vldrw.32 q2, [r2]\n"
      "add r0, r11\n"
      "vadd.i32 q1, q1, q2\n"
      "vstrw.32 q1, [r2], #16\n"
      "cmp r2, r3\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

static void add_products(const ksr_part *part, const int16_t *x, int32_t *acc) {
  int32_t start = 0;
  for (int32_t j = 0; j < part->sources; j += 2) start -= 128 * x[j];
  wide_groups g = {part->weights, x, acc, acc + part->others, part->sources / 16, part->sources & 8, start,
                   part->skipped};
  if (part->others) add_wide_groups(&g);
  g.weights += part->others * (part->sources + part->skipped / 4);
  g.acc = acc + part->last;
  g.end = g.acc + part->outputs - part->others;
  add_wide_groups(&g);
}

void ksr_multiply_i16_helium(const ksr_matrix *matrix, const int16_t *x, int32_t first, int32_t count, int32_t shift,
                             int32_t *acc) {
  KSR_ALIGNED(4) int16_t sources[KSR_SOURCES_AT_ONCE]; /* VLD2 loads words */
  for (int32_t done = 0; done < count; done += KSR_SOURCES_AT_ONCE) {
    const int32_t left = count - done, now = left < KSR_SOURCES_AT_ONCE ? left : KSR_SOURCES_AT_ONCE;
    const ksr_part part = ksr_part_of(matrix, first + done, now);
    for (int32_t i = 0; i < part.sources; ++i) sources[i] = (int16_t)(i < now ? x[done + i] * (1 << shift) : 0);
    add_products(&part, sources, acc);
  }
}

#endif /* KSR_HELIUM && KSR_WITH_INT16 */
