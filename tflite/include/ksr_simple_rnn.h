/* KsrSimpleRnn: h = tanh(x W + h' R + b) (Elman 1990).
 *
 * Slots: 0 alone. Tensors and integers as in ksr_recurrent.h, and
 *
 *   10 h                 int8, zero point 0      float32
 *   11 held x, 12 sums   as in ksr_recurrent.h
 *
 * The recurrence reads h as int8, h * operand scale. */
#ifndef KSR_SIMPLE_RNN_H_
#define KSR_SIMPLE_RNN_H_

#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_simple_rnn;

#ifdef __cplusplus
}
#endif

#endif /* KSR_SIMPLE_RNN_H_ */
