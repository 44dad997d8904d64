/* KsrOnLstm: the ordered-neurons LSTM (arXiv 1810.09536): an LSTM whose forget and input gates are opened by master
 * gates, which have one entry for each chunk of `chunk_size` units.
 *
 *   f~ = cumax(a_f~)    i~ = 1 - cumax(a_i~)    cumax = cumsum of softmax
 *   w = f~ * i~    f^ = f * w + (f~ - w)    i^ = i * w + (i~ - w)    c = f^ * c' + i^ * g
 *
 * All else as in ksr_lstm.h. A slot has accumulators for the units, and behind them half of those of a master gate: the
 * slots of i and f have f~, those of c and o have i~. In integers the master gates are in Q15; a term of softmax is 0
 * where it is below e^-8 of the largest. Words and inputs: ksr_on_lstm_words.h. */
#ifndef KSR_ON_LSTM_H_
#define KSR_ON_LSTM_H_
/* Sources: on_lstm_op.c */

#include "ksr_on_lstm_words.h"
#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_on_lstm;

#ifdef __cplusplus
}
#endif

#endif /* KSR_ON_LSTM_H_ */
