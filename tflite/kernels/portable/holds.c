#include "holds.h"

#if KSR_WITH_HOLDS

ksr_event *ksr_hold_inputs_portable(const int8_t *x, const uint8_t *threshold, int8_t *held, int32_t first,
                                    int32_t count, int32_t shift, ksr_event *event) {
  for (int32_t j = 0; j < count; ++j) {
    const int32_t change = x[j] - held[j];
    if (ksr_is_held(change, threshold[j])) continue;
    held[j] = x[j];
    *event++ = (ksr_event){(uint16_t)(first + j), (int16_t)(change * (1 << shift))};
  }
  return event;
}

ksr_event *ksr_hold_states_portable(const ksr_gates *gates, const int16_t *h, const uint16_t *threshold, int16_t *held,
                                    int32_t first, int32_t count, int32_t h_shift, ksr_event *event) {
  for (int32_t j = 0; j < count; ++j) {
    if (ksr_is_held(h[j] - held[j], threshold[j])) continue;
    const int32_t change = ksr_operand_i8(gates, h[j]) - ksr_operand_i8(gates, held[j]);
    held[j] = h[j];
    if (change) *event++ = (ksr_event){(uint16_t)(first + j), (int16_t)(change * (1 << h_shift))};
  }
  return event;
}

#endif /* KSR_WITH_HOLDS */
