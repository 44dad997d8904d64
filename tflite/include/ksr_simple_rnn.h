/* KsrSimpleRnn: h = tanh(x W + h' R + b) (Elman 1990).
 *
 * Slots: 0 alone. Words and inputs: ksr_simple_rnn_words.h. Integers as in ksr_recurrent.h.
 *
 * The recurrence reads h as int8, h * operand scale. */
#ifndef KSR_SIMPLE_RNN_H_
#define KSR_SIMPLE_RNN_H_
/* Sources: simple_rnn.c */

#include "ksr_recurrent.h"
#include "ksr_simple_rnn_words.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_simple_rnn;

/* The parts of it, for C that was written for a node: what `prepare` does after its checks, and `invoke`. */
void ksr_simple_rnn_set_up(const ksr_node *node, void *data);
void ksr_simple_rnn_invoke(const ksr_node *node, void *data, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_SIMPLE_RNN_H_ */
