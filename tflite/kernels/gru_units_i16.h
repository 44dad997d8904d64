/* The element-wise part of a GRU with int16 activations, as in gru_units.h. */
#ifndef KSR_GRU_UNITS_I16_H_
#define KSR_GRU_UNITS_I16_H_
/* Sources: gru_units_i16.c */

#include "gates_i16.h"

void ksr_gru_units_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units);

/* With a reset gate that is open: it came before the product. */
void ksr_gru_units_after_reset_i16(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                   int32_t units);

#endif /* KSR_GRU_UNITS_I16_H_ */
