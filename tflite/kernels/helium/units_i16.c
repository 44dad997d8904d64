/* Four units at a time by the M-profile vector extension; entries of tables are gathered. */
#include "units_i16.h"

#if defined(KSR_HELIUM) && KSR_WITH_INT16 && !KSR_SMALL

#include <arm_mve.h>

/* Between the entries of a table, `bits` below its index, which the saturation of a shift keeps within the table. */
KSR_INLINE int32x4_t interpolate(ksr_table table, int32x4_t value, int32_t bits) {
  value = vshlq_r_s32(vqshlq_r_s32(value, 22 - bits), bits - 22);
  const uint32x4_t k = vreinterpretq_u32_s32(vaddq_n_s32(vshlq_r_s32(value, -bits), 512));
  const int32x4_t from = vldrhq_gather_shifted_offset_s32(table, k);
  const int32x4_t to = vldrhq_gather_shifted_offset_s32(table + 1, k);
  const int32x4_t part = vandq_s32(value, vdupq_n_s32((1 << bits) - 1));
  return vaddq_s32(from, vshlq_r_s32(vmulq_s32(vsubq_s32(to, from), part), -bits));
}

KSR_INLINE int32x4_t multiply(const int32_t *acc, ksr_multiplier by) {
  return vmulhq_s32(vldrwq_s32(acc), vdupq_n_s32(by));
}

/* g + z * (before - g), into the states that there are. */
KSR_INLINE void mix(int32x4_t z, int32x4_t g, int16_t *state, int32_t units) {
  const mve_pred16_t real = vctp32q((uint32_t)units);
  const int32x4_t change = vmulq_s32(z, vsubq_s32(vldrhq_z_s32(state, real), g));
  vstrhq_p_s32(state, vaddq_s32(g, vrshrq_n_s32(change, 15)), real);
}

void ksr_gru_units_i16_helium(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                              int32_t units) {
  const ksr_multiplier *by = gates->multiplier;
  const int32_t bits = gates->to_tanh;
  for (; units > 0; units -= 4, acc += 4, state += 4) {
    const int32x4_t r = interpolate(ksr_sigmoid_table, multiply(acc + stride, by[1]), bits);
    const int32x4_t y = vmulhq_s32(multiply(acc + 3 * stride, by[3]), vshlq_n_s32(r, 16));
    const int32x4_t g = interpolate(ksr_tanh_table, vaddq_s32(multiply(acc + 2 * stride, by[2]), y), bits);
    mix(interpolate(ksr_sigmoid_table, multiply(acc, by[0]), bits), g, state, units);
  }
}

void ksr_light_gru_units_i16_helium(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                    int32_t units) {
  const ksr_multiplier *by = gates->multiplier;
  const int32_t bits = gates->to_tanh;
  for (; units > 0; units -= 4, acc += 4, state += 4) {
    const int32x4_t g = interpolate(ksr_tanh_table, multiply(acc + 2 * stride, by[2]), bits);
    mix(interpolate(ksr_sigmoid_table, multiply(acc, by[0]), bits), g, state, units);
  }
}

void ksr_lstm_units_i16_helium(const ksr_gates *gates, int32_t cell_bits, const int32_t *acc, int32_t stride,
                               int16_t *c, int16_t *h, int32_t units) {
  const ksr_multiplier *by = gates->multiplier;
  const int32_t bits = gates->to_tanh;
  for (; units > 0; units -= 4, acc += 4, c += 4, h += 4) {
    const mve_pred16_t real = vctp32q((uint32_t)units);
    const int32x4_t g = interpolate(ksr_tanh_table, multiply(acc + 2 * stride, by[2]), bits);
    const int32x4_t i = interpolate(ksr_sigmoid_table, multiply(acc, by[0]), bits);
    const int32x4_t new_part = vshlq_r_s32(vmulq_s32(i, g), -cell_bits);
    const int32x4_t f = interpolate(ksr_sigmoid_table, multiply(acc + stride, by[1]), bits);
    int32x4_t cell = vrshrq_n_s32(vaddq_s32(vmulq_s32(f, vldrhq_z_s32(c, real)), new_part), 15);
    cell = vshrq_n_s32(vqshlq_n_s32(cell, 16), 16);
    vstrhq_p_s32(c, cell, real);
    const int32x4_t o = interpolate(ksr_sigmoid_table, multiply(acc + 3 * stride, by[3]), bits);
    const int32x4_t of_cell = interpolate(ksr_tanh_table, cell, 8 - cell_bits);
    vstrhq_p_s32(h, vrshrq_n_s32(vmulq_s32(o, of_cell), 15), real);
  }
}

void ksr_write_states_i16_helium(ksr_rescaling by, int32_t bits, const int16_t *state, int32_t units,
                                 int16_t *output) {
  const int32_t minus_shift = -by.shift, up = 32 - bits;
  __asm__ volatile(
      "wlstp.32 lr, %2, 2f\n"
      "1: vldrh.s32 q0, [%0], #8\n"
      "vmul.i32 q0, q0, %3\n"
      "vrshl.s32 q0, %4\n"
      "vqshl.s32 q0, %5\n"
      "vshl.s32 q0, %6\n"
      "vstrh.32 q0, [%1], #8\n"
      "letp lr, 1b\n"
      "2:"
      : "+l"(state), "+l"(output) /* widening loads take low registers */
      : "r"(units), "r"(by.multiplier), "r"(minus_shift), "r"(up), "r"(-up)
      : "lr", "q0", "memory");
}

#endif /* KSR_HELIUM && KSR_WITH_INT16 && !KSR_SMALL */
