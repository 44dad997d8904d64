#include "vectors.h"

#ifdef KSR_HELIUM

#include <arm_mve.h>
#include <string.h>

void ksr_fill_i8_helium(int8_t *to, int8_t value, int32_t count) {
  for (; count >= 16; count -= 16, to += 16) vstrbq_s8(to, vdupq_n_s8(value));
  if (count) memset(to, value, (uint32_t)count);
}

void ksr_scale_i32_helium(int32_t *acc, const int16_t *scale, int32_t count) {
  for (const int32_t *end = acc + count; acc < end; acc += 4, scale += 4) {
    vstrwq_s32(acc, vmulhq_s32(vldrwq_s32(acc), vshlq_n_s32(vldrhq_s32(scale), 16)));
  }
}

#endif /* KSR_HELIUM */
