/* KsrLstm: the LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), without peepholes.
 *
 *   a = x W + h' R + b    i = sigma(a_i)    f = sigma(a_f)    g = tanh(a_c)    o = sigma(a_o)
 *   c = f * c' + i * g    h = o * tanh(c)
 *
 * Slots: i, f, c, o. Tensors and integers as in ksr_recurrent.h, and
 *
 *   10 h                 int8, zero point 0                       float32
 *   11 c                 int16, Q(15 - cell_bits), saturating     float32
 *   12 held x, 13 sums   as in ksr_recurrent.h
 *
 * The recurrence reads h as int8, h * operand scale. */
#ifndef KSR_LSTM_H_
#define KSR_LSTM_H_

#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksr_lstm_options {
  ksr_recurrent_options recurrent;
  int32_t cell_bits; /* c lies in [-2^cell_bits, 2^cell_bits), 0 to 7; int8 models only */
} ksr_lstm_options;

extern const ksr_op ksr_lstm;

#ifdef __cplusplus
}
#endif

#endif /* KSR_LSTM_H_ */
