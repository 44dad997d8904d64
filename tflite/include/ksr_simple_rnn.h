/* KsrSimpleRnn: h = tanh(x W + h' R + b) (Elman 1990). Without R it is a dense layer, which may hold its inputs.
 *
 * Slots: 0 alone. Words and inputs: ksr_simple_rnn_words.h. Integers as in ksr_recurrent.h.
 *
 * The recurrence reads h as int8, h * operand scale. */
#ifndef KSR_SIMPLE_RNN_H_
#define KSR_SIMPLE_RNN_H_
/* Sources: simple_rnn_op.c */

#include "ksr_recurrent.h"
#include "ksr_simple_rnn_words.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_simple_rnn;

#ifdef __cplusplus
}
#endif

#endif /* KSR_SIMPLE_RNN_H_ */
