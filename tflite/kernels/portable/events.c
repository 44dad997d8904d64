#include "events.h"

#include <string.h>

ksr_event *ksr_events_of_portable(int16_t *cell, const int16_t *threshold, int32_t first, int32_t end, int32_t reset,
                                  ksr_event *event) {
  for (int32_t i = first; i < end; ++i) {
    const int32_t c = cell[i], above = c - threshold[i];
    if (KSR_RARELY(above > 0)) {
      *event++ = (ksr_event){(uint16_t)i, (int16_t)c};
      if (reset) cell[i] = (int16_t)above;
    }
  }
  return event;
}

void ksr_events_send_portable(ksr_event *event, const ksr_event *end, const ksr_gates *gates, int32_t h_shift,
                              int8_t *output, int8_t *y) {
  const ksr_gates g = *gates;
  for (; event < end; ++event) {
    const int32_t cell = event->value, operand = ksr_saturate_u8(ksr_rescale(cell, g.operand));
    event->value = (int16_t)(operand * (1 << h_shift));
    if (y) y[event->source] = (int8_t)(operand - 128);
    if (output) output[event->source] = ksr_output_i8(&g, cell);
  }
}

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

static inline ksr_event *read_one(int32_t source, uint32_t sent, int32_t h_shift, ksr_event *event) {
  if (sent) *event++ = (ksr_event){(uint16_t)source, (int16_t)((int32_t)sent * (1 << h_shift))};
  return event;
}

ksr_event *ksr_events_read_portable(const int8_t *y, int32_t first, int32_t end, int32_t h_shift, ksr_event *event) {
  int32_t i = first;
  /* Four units at once: most are silent. */
  const int32_t fours_end = (uintptr_t)(y + i) & 3u ? i : end - 3;
  for (; i < fours_end; i += 4) {
    const uint32_t sent = four_sent(y, i);
    if (!sent) continue;
    event = read_one(i, sent & 0xffu, h_shift, event);
    event = read_one(i + 1, (sent >> 8) & 0xffu, h_shift, event);
    event = read_one(i + 2, (sent >> 16) & 0xffu, h_shift, event);
    event = read_one(i + 3, sent >> 24, h_shift, event);
  }
  for (; i < end; ++i) event = read_one(i, (uint32_t)(y[i] + 128), h_shift, event);
  return event;
}
