/* The element-wise part of a GRU in integers: for each unit the gates and the new state,
 *
 *   z = sigma(acc[0])    r = sigma(acc[1])    g = tanh(acc[2] + r * acc[3])    state = z * state + (1 - z) * g,
 *
 * where acc[k] lies k * stride behind the unit's first accumulator. The light GRU has no r: g = tanh(acc[2]). */
#ifndef KSR_GRU_UNITS_H_
#define KSR_GRU_UNITS_H_

#include "gates_i8.h"

void ksr_gru_units_i8(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units);
void ksr_light_gru_units_i8(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units);

/* States rescaled to int8, as the output tensor holds them, or as the recurrence reads them. */
void ksr_write_states_i8(ksr_rescaling by, int32_t zero_point, const int16_t *state, int32_t units, int8_t *output);

/* In plain C. */
void ksr_gru_units_i8_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                               int32_t units);
void ksr_light_gru_units_i8_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                     int32_t units);
void ksr_write_states_i8_portable(ksr_rescaling by, int32_t zero_point, const int16_t *state, int32_t units,
                                  int8_t *output);

#endif /* KSR_GRU_UNITS_H_ */
