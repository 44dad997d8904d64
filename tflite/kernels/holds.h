/* Held values, in integers: one changes only where it differs from the new value by more than its threshold. */
#ifndef KSR_HOLDS_H_
#define KSR_HOLDS_H_

#include "gates_i8.h"
#include "ksr_matrix.h"

/* Whether |change| <= threshold, in one comparison. */
static inline int ksr_is_held(int32_t change, int32_t threshold) {
  return (uint32_t)(change + threshold) <= 2u * (uint32_t)threshold;
}

/* `count` values x, of sources from number `first` on: takes over those that changed, and lists them with what they
 * changed by, times 2^shift. Returns the end of the list. */
ksr_event *ksr_hold_inputs(const int8_t *x, const uint8_t *threshold, int8_t *held, int32_t first, int32_t count,
                           int32_t shift, ksr_event *event);

/* Likewise for states in 16 bits, with what changed in them as the recurrence reads it. */
ksr_event *ksr_hold_states(const ksr_gates *gates, const int16_t *h, const uint16_t *threshold, int16_t *held,
                           int32_t first, int32_t count, int32_t h_shift, ksr_event *event);

/* In plain C. */
ksr_event *ksr_hold_inputs_portable(const int8_t *x, const uint8_t *threshold, int8_t *held, int32_t first,
                                    int32_t count, int32_t shift, ksr_event *event);
ksr_event *ksr_hold_states_portable(const ksr_gates *gates, const int16_t *h, const uint16_t *threshold, int16_t *held,
                                    int32_t first, int32_t count, int32_t h_shift, ksr_event *event);

#endif /* KSR_HOLDS_H_ */
