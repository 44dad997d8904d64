/* The element-wise parts of a GRU and of an LSTM with int16 activations; see gru_units.h and lstm_units.h. */
#ifndef KSR_UNITS_I16_H_
#define KSR_UNITS_I16_H_

#include "gates_i16.h"

void ksr_gru_units_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units);
void ksr_light_gru_units_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units);

/* `h` becomes o * tanh(c), in Q15. */
void ksr_lstm_units_i16(const ksr_gates *gates, int32_t cell_bits, const int32_t *acc, int32_t stride, int16_t *c,
                        int16_t *h, int32_t units);

/* States rescaled to `bits`, one of them for the sign, as the output tensor holds them, or as the recurrence reads
 * them. `output` may be `state`. */
void ksr_write_states_i16(ksr_rescaling by, int32_t bits, const int16_t *state, int32_t units, int16_t *output);

/* In plain C. */
void ksr_gru_units_i16_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                int32_t units);
void ksr_light_gru_units_i16_portable(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                      int32_t units);
void ksr_lstm_units_i16_portable(const ksr_gates *gates, int32_t cell_bits, const int32_t *acc, int32_t stride,
                                 int16_t *c, int16_t *h, int32_t units);
void ksr_write_states_i16_portable(ksr_rescaling by, int32_t bits, const int16_t *state, int32_t units,
                                   int16_t *output);

#endif /* KSR_UNITS_I16_H_ */
