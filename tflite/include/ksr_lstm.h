/* KsrLstm: the LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), without peepholes.
 *
 *   a = x W + h' R + b    i = sigma(a_i)    f = sigma(a_f)    g = tanh(a_c)    o = sigma(a_o)
 *   c = f * c' + i * g    h = o * tanh(c)
 *
 * Slots: i, f, c, o. Words and inputs: ksr_lstm_words.h. Integers as in ksr_recurrent.h.
 *
 * The recurrence reads h as int8, h * operand scale. */
#ifndef KSR_LSTM_H_
#define KSR_LSTM_H_
/* Sources: lstm_op.c */

#include "ksr_lstm_words.h"
#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_lstm;

#ifdef __cplusplus
}
#endif

#endif /* KSR_LSTM_H_ */
