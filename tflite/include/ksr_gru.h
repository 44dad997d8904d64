/* KsrGru: the GRU (arXiv 1406.1078), with the reset gate after or before the recurrent product, or without it (the
 * light GRU, arXiv 1803.10225); and FastGRNN (arXiv 1901.02358), whose gate and candidate share one product.
 *
 *   a = x W + b_x    q = h' R + b_r    z = sigma(a_z + q_z)    r = sigma(a_r + q_r)
 *   g = tanh(a_h + r * q_h), or reset before: tanh(a_h + (r * h') R_h + b_r)    h = z * h' + (1 - z) * g
 *
 * FastGRNN: a = x W + h' R    z = sigma(a + b_z)    g = tanh(a + b_h)    h = z * h' + (zeta * (1 - z) + nu) * g, where
 * the first slot begins with b_z, and the third holds b_h - b_z.
 *
 * Slots: z, r, and the candidate's input part and recurrent part. Without a reset gate, z is in the first slot and the
 * candidate in the third, g = tanh(a_h + q_h), and the other slots are unused. Words and inputs: ksr_gru_words.h.
 * Integers as in ksr_recurrent.h.
 *
 * The recurrence reads h as int8, h * operand scale; with the reset before the product, it reads r * h' in the same
 * way.
 *
 * With the reset before the product, r * h' may be held like h (ksr_recurrent.h) if h is held. The candidate's sums are
 * then products with the held value.
 *
 * Without a reset gate, a step may have further micro-layers, h <- z * h + (1 - z) * tanh(h R_n + b_n): the recurrent
 * highway network (arXiv 1607.03474) with z = 1 - t. All share their scales. Not coupled, the candidate's share has a
 * gate of its own in the second slot: h <- z * h + t * tanh(..), which may exceed 1.
 *
 * Kernels of low rank are products. The factors lead to a middle, x A + h B, which the kernel reads in place of x; or
 * to one of each, x A and h B, which the kernel and the recurrent kernel read in place of x and h. In integers the
 * middle has middle_bits: the high word of the product of its sums and a multiplier; zero point, shifts and operands
 * above are those of the factors. */
#ifndef KSR_GRU_H_
#define KSR_GRU_H_
/* Sources: gru_op.c */

#include "ksr_gru_words.h"
#include "ksr_recurrent.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const ksr_op ksr_gru;

#ifdef __cplusplus
}
#endif

#endif /* KSR_GRU_H_ */
