/* Four units at a time by the M-profile vector extension, 27 instructions, 16 without a reset gate; sigmoid and tanh
 * are gathered from their tables. */
#include "gru_units.h"

#if defined(KSR_HELIUM) && !KSR_SMALL

#include <arm_mve.h>

static inline int32x4_t look_up(const int16_t *table, int32x4_t k) {
  k = vmaxq_s32(vminq_s32(k, vdupq_n_s32(511)), vdupq_n_s32(-512));
  return vldrhq_gather_shifted_offset_s32(table, vreinterpretq_u32_s32(vaddq_n_s32(k, 512)));
}

/* Any multipliers. */
static void units_of_any(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
  const int32_t shift = -gates->to_tanh;
  for (int32_t i = 0; i < units; i += 4, acc += 4, state += 4) {
    const mve_pred16_t real = vctp32q((uint32_t)(units - i));
    const int32x4_t z = look_up(ksr_sigmoid_table, vmulhq_s32(vldrwq_s32(acc), vdupq_n_s32(gates->multiplier[0])));
    const int32x4_t r =
        look_up(ksr_sigmoid_table, vmulhq_s32(vldrwq_s32(acc + stride), vdupq_n_s32(gates->multiplier[1])));
    const int32x4_t x = vmulhq_s32(vldrwq_s32(acc + 2 * stride), vdupq_n_s32(gates->multiplier[2]));
    const int32x4_t y = vmulhq_s32(vldrwq_s32(acc + 3 * stride), vdupq_n_s32(gates->multiplier[3]));
    const int32x4_t sum = vaddq_s32(x, vmulhq_s32(y, vshlq_n_s32(r, 16)));
    const int32x4_t g = look_up(ksr_tanh_table, vshlq_r_s32(sum, shift));
    const int32x4_t before = vldrhq_z_s32(state, real);
    const int32x4_t change = vrshrq_n_s32(vmulq_s32(z, vsubq_s32(before, g)), 15);
    vstrhq_p_s32(state, vaddq_s32(g, change), real);
  }
}

/* In the order in which they are loaded; multipliers halved, for a product that doubles. */
typedef struct units_arguments {
  const int32_t *z, *r, *x, *y;
  int16_t *state;
  int32_t multiplier[4];
  const int16_t *sigmoid, *tanh;
  int32_t tanh_shift; /* 22 - to_tanh */
} units_arguments;

/* To an index of the table, in the saturation of a shift to the left by 22 and back, and from there. */
#define LOOK_UP(to, from, shift, table)     \
  "vqshl.s32 " from ", " shift "\n"         \
  "vshr.s32 " from ", " from ", #22\n"      \
  "vldrh.s32 " to ", [" table ", " from ", uxtw #1]\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
__attribute__((naked)) static void units_in_fours(const units_arguments *arguments, int32_t units) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "dlstp.32 lr, r1\n"
      "ldm r0, {r0-r11}\n"
      "mov r12, #22\n"
      "1: vldrw.32 q0, [r1], #16\n"
      "vqdmulh.s32 q0, q0, r6\n"
      "vldrw.32 q1, [r3], #16\n"
      LOOK_UP("q2", "q0", "r12", "r9")
      "vqdmulh.s32 q1, q1, r8\n"
      "vshl.i32 q2, q2, #16\n"
      "vldrw.32 q0, [r2], #16\n"
      "vmulh.s32 q1, q1, q2\n"
      "vqdmulh.s32 q0, q0, r7\n"
      "vldrw.32 q3, [r0], #16\n"
      "vadd.i32 q0, q0, q1\n"
      "vqdmulh.s32 q3, q3, r5\n"
      LOOK_UP("q1", "q0", "r11", "r10")
      LOOK_UP("q2", "q3", "r12", "r9")
      "vldrh.s32 q0, [r4]\n"
      "vsub.i32 q0, q0, q1\n"
      "vmul.i32 q0, q0, q2\n"
      "vrshr.s32 q0, q0, #15\n"
      "vadd.i32 q0, q0, q1\n"
      "vstrh.32 q0, [r4], #8\n"
      "letp lr, 1b\n"
      "pop {r4-r11, pc}\n");
}

void ksr_gru_units_i8_helium(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                             int32_t units) {
  const int32_t *m = gates->multiplier;
  if ((m[0] | m[1] | m[2] | m[3]) & 1) {
    units_of_any(gates, acc, stride, state, units);
    return;
  }
  const units_arguments arguments = {acc, acc + stride, acc + 2 * stride, acc + 3 * stride, state,
                                     {m[0] / 2, m[1] / 2, m[2] / 2, m[3] / 2},
                                     ksr_sigmoid_table + 512, ksr_tanh_table + 512, 22 - gates->to_tanh};
  units_in_fours(&arguments, units);
}

/* Without a reset gate; in the order in which they are loaded, multipliers halved. */
typedef struct light_arguments {
  const int32_t *z, *g;
  int16_t *state;
  int32_t multiplier_z, multiplier_g;
  const int16_t *sigmoid, *tanh;
} light_arguments;

__attribute__((naked)) static void light_units_in_fours(const light_arguments *arguments, int32_t units) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r6, lr}\n"
      "dlstp.32 lr, r1\n"
      "ldm r0, {r0-r6}\n"
      "mov r12, #22\n"
      "1: vldrw.32 q0, [r0], #16\n"
      "vqdmulh.s32 q0, q0, r3\n"
      "vldrw.32 q1, [r1], #16\n"
      "vqdmulh.s32 q1, q1, r4\n"
      LOOK_UP("q2", "q0", "r12", "r5")
      LOOK_UP("q3", "q1", "r12", "r6")
      "vldrh.s32 q0, [r2]\n"
      "vsub.i32 q0, q0, q3\n"
      "vmul.i32 q0, q0, q2\n"
      "vrshr.s32 q0, q0, #15\n"
      "vadd.i32 q0, q0, q3\n"
      "vstrh.32 q0, [r2], #8\n"
      "letp lr, 1b\n"
      "pop {r4-r6, pc}\n");
}

void ksr_light_gru_units_i8_helium(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                   int32_t units) {
  const int32_t *m = gates->multiplier;
  const light_arguments arguments = {acc, acc + 2 * stride, state, m[0] / 2, m[2] / 2, ksr_sigmoid_table + 512,
                                     ksr_tanh_table + 512};
  if (gates->to_tanh || ((m[0] | m[2]) & 1)) {
    ksr_light_gru_units_i8_portable(gates, acc, stride, state, units);
  } else {
    light_units_in_fours(&arguments, units);
  }
}

#endif /* KSR_HELIUM && !KSR_SMALL */
