/* The events of units that lie above their thresholds, in integers. */
#ifndef KSR_EVENTS_H_
#define KSR_EVENTS_H_

#include "gates_i8.h"
#include "ksr_matrix.h"

/* Lists those of the units `first` to `end - 1` whose cell is above its threshold, with the cell as value, and with
 * `reset` takes the threshold off it. Returns the end of the list. Thresholds are not negative. */
ksr_event *ksr_events_of(int16_t *cell, const int16_t *threshold, int32_t first, int32_t end, int32_t reset,
                         ksr_event *event);

/* From cells to what is sent, uint8 shifted left by `h_shift`. Where they are given, the cells are put out, too, and
 * what was sent, less 128, goes into the state tensor y; silent units are not touched. */
void ksr_events_send(ksr_event *event, const ksr_event *end, const ksr_gates *gates, int32_t h_shift, int8_t *output,
                     int8_t *y);

/* The events that a state tensor holds of units `first` to `end - 1`. Returns the end of the list. */
ksr_event *ksr_events_read(const int8_t *y, int32_t first, int32_t end, int32_t h_shift, ksr_event *event);

/* In plain C. */
ksr_event *ksr_events_of_portable(int16_t *cell, const int16_t *threshold, int32_t first, int32_t end, int32_t reset,
                                  ksr_event *event);
void ksr_events_send_portable(ksr_event *event, const ksr_event *end, const ksr_gates *gates, int32_t h_shift,
                              int8_t *output, int8_t *y);
ksr_event *ksr_events_read_portable(const int8_t *y, int32_t first, int32_t end, int32_t h_shift, ksr_event *event);

#endif /* KSR_EVENTS_H_ */
