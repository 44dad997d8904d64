/* Four states at a time by the M-profile vector extension. */
#include "gru_units.h"

#ifdef KSR_HELIUM

void ksr_write_states_i8_helium(ksr_rescaling by, int32_t zero_point, const int16_t *state, int32_t units,
                                int8_t *output) {
  const int32_t minus_shift = -by.shift;
  __asm__ volatile(
      "dlstp.32 lr, %2\n"
      "1: vldrh.s32 q0, [%0], #8\n"
      "vmul.i32 q0, q0, %3\n"
      "vrshl.s32 q0, %4\n"
      "vadd.i32 q0, q0, %5\n"
      "vqshl.s32 q0, q0, #24\n"
      "vshr.s32 q0, q0, #24\n"
      "vstrb.32 q0, [%1], #4\n"
      "letp lr, 1b"
      : "+l"(state), "+l"(output) /* widening loads take low registers */
      : "r"(units), "r"(by.multiplier), "r"(minus_shift), "r"(zero_point)
      : "lr", "q0", "memory");
}

#endif /* KSR_HELIUM */
