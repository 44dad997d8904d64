/* KsrEventGru: the event-thresholded GRU (arXiv 2206.06178, 2311.07625).
 *
 *   a = x W + b_x    q = y' R + b_r    z = sigma(a_z + q_z)    r = sigma(a_r + q_r)    g = tanh(a_h + r * q_h)
 *   c~ = z * c' + (1 - z) * g    e = [c~ > theta]    y = e * c~    c = c~ - e * theta
 *
 * Slots: z, r, and the candidate's input part and recurrent part; without a reset gate as in ksr_gru.h. Words and
 * inputs: ksr_event_gru_words.h. Integers as in ksr_recurrent.h.
 *
 * An event is sent as uint8, c~ * operand scale. */
#ifndef KSR_EVENT_GRU_H_
#define KSR_EVENT_GRU_H_
/* Sources: event_gru_op.c */

#include "ksr_event_gru_words.h"
#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_event_gru;

#ifdef __cplusplus
}
#endif

#endif /* KSR_EVENT_GRU_H_ */
