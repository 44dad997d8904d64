/* KsrFrameGate: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_FRAME_GATE_SCHEMA_H_
#define KSR_FRAME_GATE_SCHEMA_H_
/* Sources: frame_gate_schema.c */

#include "ksr_schema.h"

extern const ksr_schema ksr_frame_gate_schema;

#endif /* KSR_FRAME_GATE_SCHEMA_H_ */
