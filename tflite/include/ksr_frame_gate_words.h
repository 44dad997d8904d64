/* KsrFrameGate: words and inputs; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_FRAME_GATE_WORDS_H_
#define KSR_FRAME_GATE_WORDS_H_

#include "ksr_node.h"

/* The words of its custom options, little-endian int32. */
typedef struct ksr_frame_gate_options {
  int32_t version;      /* 3 */
  int32_t format;       /* number format: 0 float32, 1 int8, 2 int8x16 */
  int32_t count;        /* number of inputs that must differ by more than their thresholds */
  int32_t x_zero_point; /* zero point of x */
} ksr_frame_gate_options;

/* Its inputs. */
enum {
  KSR_FRAME_GATE_X = 0,
  KSR_FRAME_GATE_THRESHOLD,
  KSR_FRAME_GATE_LAST,
  KSR_FRAME_GATE_MASK
};

#endif /* KSR_FRAME_GATE_WORDS_H_ */
