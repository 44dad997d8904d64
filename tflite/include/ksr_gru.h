/* KsrGru: the GRU (arXiv 1406.1078), with the reset gate after or before the recurrent product.
 *
 *   a = x W + b_x    q = h' R + b_r    z = sigma(a_z + q_z)    r = sigma(a_r + q_r)
 *   g = tanh(a_h + r * q_h), or reset before: tanh(a_h + (r * h') R_h + b_r)    h = z * h' + (1 - z) * g
 *
 * Slots: z, r, and the candidate's input part and recurrent part. Tensors and integers as in ksr_recurrent.h, and
 *
 *   10-12 candidate kernel    like the others    R_h, reset before only, when the recurrent kernel has z and r alone
 *   13 hidden threshold      uint16 (U), Q15    float32     absent: h is not held
 *   14 h                     int16, Q15         float32
 *   15 held h                int16, Q15         float32     with a hidden threshold
 *   then held x, sums        as in ksr_recurrent.h
 *
 * The recurrence reads h as int8, h * operand scale; reset before, r * h' likewise.
 *
 * With a hidden threshold this is DeltaGRU: R reads h^, which is h' where |h' - h^'| > threshold, else h^', and the sums
 * hold h^ R as well. It needs an input threshold, and the reset after the product. */
#ifndef KSR_GRU_H_
#define KSR_GRU_H_

#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksr_gru_options {
  ksr_recurrent_options recurrent;
  int32_t reset_after;
} ksr_gru_options;

extern const ksr_op ksr_gru;

#ifdef __cplusplus
}
#endif

#endif /* KSR_GRU_H_ */
