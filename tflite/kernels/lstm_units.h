/* The element-wise part of an LSTM in integers: for each unit the gates, the cell and what is sent,
 *
 *   i, f, o = sigma(acc[0, 1, 3])    g = tanh(acc[2])    c = f * c + i * g    h = o * tanh(c),
 *
 * where acc[k] lies k * stride behind the unit's first accumulator. */
#ifndef KSR_LSTM_UNITS_H_
#define KSR_LSTM_UNITS_H_

#include "gates_i8.h"

/* `h` is what the recurrence reads; `output`, unless NULL, what the output tensor holds. Accumulators are used up. */
void ksr_lstm_units_i8(const ksr_gates *gates, int32_t cell_bits, int32_t *acc, int32_t stride, int16_t *c, int8_t *h,
                       int8_t *output, int32_t units);

/* Any multipliers, with the DSP extension. */
void ksr_lstm_units_i8_dsp(const ksr_gates *gates, int32_t cell_bits, int32_t *acc, int32_t stride, int16_t *c,
                           int8_t *h, int8_t *output, int32_t units);

/* In plain C. */
void ksr_lstm_units_i8_portable(const ksr_gates *gates, int32_t cell_bits, int32_t *acc, int32_t stride, int16_t *c,
                                int8_t *h, int8_t *output, int32_t units);

#endif /* KSR_LSTM_UNITS_H_ */
