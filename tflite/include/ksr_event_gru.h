/* KsrEventGru: the event-thresholded GRU (arXiv 2206.06178, 2311.07625), batch 1, over a whole sequence or a chunk.
 *
 *   a = x W + b_x    q = y' R + b_r    z = sigma(a_z + q_z)    r = sigma(a_r + q_r)    g = tanh(a_h + r * q_h)
 *   c~ = z * c' + (1 - z) * g    e = [c~ > theta]    y = e * c~    c = c~ - e * theta
 *
 * Only rows of W and R whose source is non-zero are visited, and in them only stored blocks. Four groups (slots) of
 * accumulators: z, r, and the candidate's input part and recurrent part.
 *
 * Inputs                 int8 model           float32 model
 *   0 x                  int8 (1, T, I)       float32
 *   1-3 kernel           int8 values, uint8 index, uint16 or uint32 rows (ksr_matrix.h); values float32
 *   4-6 recurrent kernel likewise
 *   7 bias               int32 (4 * stride)   float32     what the accumulators start from, slot by slot
 *   8 threshold          int16 (U), Q15       float32
 *   9 y, 10 c            int8 (zero point -128), int16 (Q15); float32      } state; absent: zero at each start
 *   11 trace             int16 (Q15); float32, with the readout "trace"    }
 * Output                 int8 (1, T, U) or (1, U)   float32
 *
 * Integers. A source's value is its distance from its zero point, shifted left by its operand shift, so that W and R
 * add into the same z and r. Accumulators become pre-activations in Q(fraction) by the high word of a 64-bit product.
 * Sigmoid and tanh are tables (ksr_tables.h). States are Q15; an event is sent as uint8, c~ * event scale. */
#ifndef KSR_EVENT_GRU_H_
#define KSR_EVENT_GRU_H_

#include "ksr.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KSR_EVENT_GRU_VERSION = 1 };
enum { KSR_READOUT_EVENT = 0, KSR_READOUT_CELL = 1, KSR_READOUT_TRACE = 2 };

/* The custom options: these words as little-endian int32, in this order. */
typedef struct ksr_event_gru_options {
  int32_t version;
  int32_t units;
  int32_t block; /* 4, 8 or 16 */
  int32_t readout;
  int32_t go_backwards;
  int32_t return_sequences;
  int32_t reset; /* 1: c = c~ - e * theta; 0: c = c~ */
  int32_t trace_rate; /* 1 - decay, Q31 */
  /* int8 models only, 0 in float32 models */
  int32_t x_zero_point;
  int32_t x_shift;  /* operand shifts, 0 to 7 */
  int32_t y_shift;
  int32_t fraction; /* of pre-activations, 7 to 10 bits */
  int32_t multiplier[4]; /* of slot z, r, candidate from x, candidate from y: scale * 2^(fraction + 32) */
  int32_t event_multiplier; /* y = (c~ * multiplier + 2^(shift - 1)) >> shift, multiplier below 2^15, shift 1 to 30 */
  int32_t event_shift;
  int32_t output_multiplier; /* the same for the output tensor, from Q15 */
  int32_t output_shift;
  int32_t output_zero_point;
} ksr_event_gru_options;

extern const ksr_op ksr_event_gru;

#ifdef __cplusplus
}
#endif

#endif /* KSR_EVENT_GRU_H_ */
