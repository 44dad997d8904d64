/* Four units at a time by the M-profile vector extension; sigmoid and tanh are gathered from their tables. */
#include "gru_units.h"

#ifdef KSR_HELIUM

#include <arm_mve.h>

static inline int32x4_t look_up(const int16_t *table, int32x4_t k) {
  k = vmaxq_s32(vminq_s32(k, vdupq_n_s32(511)), vdupq_n_s32(-512));
  return vldrhq_gather_shifted_offset_s32(table, vreinterpretq_u32_s32(vaddq_n_s32(k, 512)));
}

void ksr_gru_units_helium(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
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

#endif /* KSR_HELIUM */

typedef int ksr_gru_units_helium_is_not_empty;
