/* Gates in float32. */
#ifndef KSR_GATES_F32_H_
#define KSR_GATES_F32_H_
/* Sources: gates_f32.c */

#include "ksr_gru_units.h"

/* The activations are NULL for sigmoid gates with tanh; acc is overwritten where they are not.
 *
 * acc holds rows of `stride` accumulators: update gate z, reset gate r, and what the candidate has of the input and of
 * the state. h becomes z h + (1 - z) tanh(x + r y); with KSR_RESET_BEFORE the state has been reset, and r is 1; without
 * a reset gate it becomes z h + (1 - z) tanh(x). With KSR_SHARED_PRODUCT it becomes z h + (zeta (1 - z) + nu) tanh(x),
 * of which x is the sum of the rows of z and of the input; the activations are not NULL. */
void ksr_gru_units_f32(const ksr_activations *activations, float *acc, int32_t stride, int32_t reset_gate, float *h,
                       int32_t units);

/* Rows of acc: input gate, forget gate, cell and output gate. */
void ksr_lstm_units_f32(const ksr_activations *activations, float *acc, int32_t stride, float *c, float *h,
                        int32_t units);

void ksr_sigmoids_f32(const float *x, float *y, int32_t count);
void ksr_tanhs_f32(const float *x, float *y, int32_t count);

/* e^x to about 1e-7 of itself for |x| up to 87, beyond which it stays as it is there. */
void ksr_exponentials_f32(const float *x, float *y, int32_t count);

#endif /* KSR_GATES_F32_H_ */
