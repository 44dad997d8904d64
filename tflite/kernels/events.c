#include "events.h"

#include <string.h>

#ifdef KSR_HELIUM
#include <arm_mve.h>

ksr_event *ksr_events_of(int16_t *cell, const int16_t *threshold, int32_t units, int32_t reset, ksr_event *event) {
  for (int32_t i = 0; i < units; i += 8) {
    const mve_pred16_t real = vctp16q((uint32_t)(units - i));
    const int16x8_t c = vldrhq_z_s16(cell + i, real), t = vldrhq_z_s16(threshold + i, real);
    const mve_pred16_t fired = vcmpgtq_m_s16(c, t, real);
    /* Two bits a unit. The cells are read before the thresholds are taken off. */
    for (uint32_t bits = fired; bits; bits &= bits - 1, bits &= bits - 1) {
      const int32_t unit = i + (__builtin_ctz(bits) >> 1);
      *event++ = (ksr_event){(uint16_t)unit, cell[unit]};
    }
    if (reset) vstrhq_p_s16(cell + i, vsubq_s16(c, t), fired);
  }
  return event;
}

void ksr_events_send(ksr_event *event, const ksr_event *end, ksr_rescaling operand, int32_t factor) {
  const int32x4_t round = vdupq_n_s32(1 << (operand.shift - 1)), zero = vdupq_n_s32(0), most = vdupq_n_s32(255);
  for (; event < end; event += 4) {
    const mve_pred16_t real = vctp32q((uint32_t)(end - event));
    const int32x4_t before = vldrwq_z_s32((const int32_t *)(const void *)event, real);
    int32x4_t value = vmlaq_n_s32(round, vshrq_n_s32(before, 16), operand.multiplier);
    value = vminq_s32(vmaxq_s32(vshlq_r_s32(value, -operand.shift), zero), most);
    vstrwq_p_s32((int32_t *)(void *)event, vsliq_n_s32(before, vmulq_n_s32(value, factor), 16), real);
  }
}
#else

ksr_event *ksr_events_of(int16_t *cell, const int16_t *threshold, int32_t units, int32_t reset, ksr_event *event) {
  int32_t i = 0;
#ifdef KSR_DSP
  for (; i + 2 <= units; i += 2) {
    uint32_t cells, thresholds, below;
    memcpy(&cells, cell + i, sizeof(cells));
    memcpy(&thresholds, threshold + i, sizeof(thresholds));
    __asm__("qsub16 %0, %1, %2" : "=r"(below) : "r"(thresholds), "r"(cells));
    if (!(below & 0x80008000u)) continue;
    if (below & 0x8000u) {
      *event++ = (ksr_event){(uint16_t)i, (int16_t)cells};
      if (reset) cell[i] = (int16_t)-(int16_t)below;
    }
    if (below & 0x80000000u) {
      *event++ = (ksr_event){(uint16_t)(i | 1), (int16_t)(cells >> 16)};
      if (reset) cell[i + 1] = (int16_t)-(int16_t)(below >> 16);
    }
  }
#endif
  for (; i < units; ++i) {
    const int32_t c = cell[i], above = c - threshold[i];
    if (KSR_RARELY(above > 0)) {
      *event++ = (ksr_event){(uint16_t)i, (int16_t)c};
      if (reset) cell[i] = (int16_t)above;
    }
  }
  return event;
}

void ksr_events_send(ksr_event *event, const ksr_event *end, ksr_rescaling operand, int32_t factor) {
  const int32_t round = 1 << (operand.shift - 1);
  for (; event < end; ++event) {
    const int32_t value = (event->value * operand.multiplier + round) >> operand.shift;
    event->value = (int16_t)(ksr_saturate_u8(value) * factor);
  }
}
#endif

/* Bytes i to i + 3 as what they sent; the first one is the lowest on each processor. */
static inline uint32_t four_sent(const int8_t *y, int32_t i) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint32_t four;
  memcpy(&four, __builtin_assume_aligned(y + i, 4), sizeof(four));
  return four ^ 0x80808080u;
#else
  uint32_t four = 0;
  for (int32_t k = 0; k < 4; ++k) four |= (uint32_t)(y[i + k] + 128) << (8 * k);
  return four;
#endif
}

ksr_event *ksr_events_read(const int8_t *y, int32_t units, int32_t factor, ksr_event *event) {
  int32_t i = 0;
#ifdef KSR_HELIUM
  for (; i < units; i += 16) {
    const mve_pred16_t real = vctp8q((uint32_t)(units - i));
    const mve_pred16_t fired = vcmpneq_m_n_s8(vldrbq_z_s8(y + i, real), -128, real);
    for (uint32_t bits = fired; bits; bits &= bits - 1) {
      const int32_t unit = i + __builtin_ctz(bits);
      *event++ = (ksr_event){(uint16_t)unit, (int16_t)((y[unit] + 128) * factor)};
    }
  }
#endif
  /* Four units at once: most are silent. */
  for (; i + 4 <= units && ((uintptr_t)y & 3u) == 0; i += 4) {
    uint32_t sent = four_sent(y, i);
    for (int32_t source = i; sent; ++source, sent >>= 8) {
      if (sent & 0xffu) *event++ = (ksr_event){(uint16_t)source, (int16_t)((int32_t)(sent & 0xffu) * factor)};
    }
  }
  for (; i < units; ++i) {
    if (y[i] != -128) *event++ = (ksr_event){(uint16_t)i, (int16_t)((y[i] + 128) * factor)};
  }
  return event;
}
