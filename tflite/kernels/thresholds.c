#include "ksr_thresholds.h"

static uint32_t scaled(uint32_t threshold, uint32_t scale, uint32_t largest) {
  const uint32_t product = threshold * scale / KSR_THRESHOLD_ONE;
  return product < largest ? product : largest;
}

void ksr_scale_thresholds_u8(const uint8_t *from, int32_t count, uint16_t scale, uint8_t *to) {
  for (int32_t i = 0; i < count; ++i) to[i] = (uint8_t)scaled(from[i], scale, UINT8_MAX);
}

void ksr_scale_thresholds_u16(const uint16_t *from, int32_t count, uint16_t scale, uint16_t *to) {
  for (int32_t i = 0; i < count; ++i) to[i] = (uint16_t)scaled(from[i], scale, UINT16_MAX);
}

#if KSR_WITH_FLOAT32
void ksr_scale_thresholds_f32(const float *from, int32_t count, uint16_t scale, float *to) {
  const float factor = (float)scale / KSR_THRESHOLD_ONE;
  for (int32_t i = 0; i < count; ++i) to[i] = from[i] * factor;
}
#endif
