/* The events of units that lie above their thresholds, in integers. */
#ifndef KSR_EVENTS_H_
#define KSR_EVENTS_H_

#include "gates_i8.h"
#include "ksr_matrix.h"

/* Lists the units whose cell is above its threshold, with the cell as value, and with `reset` takes the threshold off
 * it. Returns the end of the list. Thresholds are not negative. */
ksr_event *ksr_events_of(int16_t *cell, const int16_t *threshold, int32_t units, int32_t reset, ksr_event *event);

/* From cells to what is sent: uint8, times `factor`. */
void ksr_events_send(ksr_event *event, const ksr_event *end, ksr_rescaling operand, int32_t factor);

/* The events that a state tensor holds, what was sent less 128. Returns the end of the list. */
ksr_event *ksr_events_read(const int8_t *y, int32_t units, int32_t factor, ksr_event *event);

#endif /* KSR_EVENTS_H_ */
