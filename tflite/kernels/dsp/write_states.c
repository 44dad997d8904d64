/* Four states at a time, for Armv7E-M and Armv8-M with the DSP extension. */
#include "gru_units.h"

#ifdef KSR_DSP

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* The scale's 24 bits of shift are 16 in SMLAW and 8 in the saturation. r0 states, r1 their end, r2 output, r3 to r6 of
 * the word; a multiple of four states, at least four. */
__attribute__((naked)) static void write_fours(const int16_t *state, const int16_t *end, int8_t *output,
                                               const int32_t multiplier_and_offset[2]) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r8, lr}\n"
      "ldrd r7, r8, [r3]\n"
      "1: ldm r0!, {r4, r6}\n"
      "smlawb r3, r7, r4, r8\n"
      "smlawt r4, r7, r4, r8\n"
      "smlawb r5, r7, r6, r8\n"
      "smlawt r6, r7, r6, r8\n"
      "ssat r3, #8, r3, asr #8\n"
      "ssat r4, #8, r4, asr #8\n"
      "ssat r5, #8, r5, asr #8\n"
      "ssat r6, #8, r6, asr #8\n"
      "strb r4, [r2, #1]\n"
      "strb r5, [r2, #2]\n"
      "strb r6, [r2, #3]\n"
      "strb r3, [r2], #4\n"
      "cmp r0, r1\n"
      "bne 1b\n"
      "pop {r4-r8, pc}\n");
}

void ksr_write_states_i8_dsp(ksr_rescaling by, int32_t zero_point, const int16_t *state, int32_t units,
                             int8_t *output) {
  const int32_t shift = by.shift, is_fast = shift >= 8 && shift <= 24 && ((uintptr_t)state & 3u) == 0;
  const int32_t fours = is_fast ? units & ~3 : 0;
  if (fours) {
    const int32_t scale[2] = {by.multiplier << (24 - shift), (1 << 7) + zero_point * (1 << 8)};
    write_fours(state, state + fours, output, scale);
  }
  if (fours < units) ksr_write_states_i8_portable(by, zero_point, state + fours, units - fours, output + fours);
}

#endif /* KSR_DSP */
