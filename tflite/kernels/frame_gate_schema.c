/* KsrFrameGate: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#include "ksr_frame_gate_schema.h"

static const ksr_range ranges[] = {
    {0, 0}, {0, 2}, {1, 65535}, {0, 0}, {-128, 127}
};

static const ksr_word words[] = {
    {{1, 1, 1}, KSR_ANY_VALUE, 0, 0}, /* format */
    {{2, 2, 2}, KSR_ANY_VALUE, 0, 0}, /* count */
    {{3, 4, 3}, KSR_ANY_VALUE, 0, 0}, /* x_zero_point */
};

static const ksr_input inputs[] = {
    {{KSR_FLOAT32, KSR_INT8, KSR_INT16}, KSR_ANY, 0, 0, {0}, 0, 0, 0, 0}, /* x */
    {{KSR_FLOAT32, KSR_UINT8, KSR_UINT16}, KSR_INPUTS, 0, 0, {0}, 0, 0, 0, 0}, /* threshold */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT16}, KSR_INPUTS, KSR_OPTIONAL | KSR_STATE, 0, {0}, 0, 0, 0, 0}, /* last */
    {{KSR_BOOL, KSR_BOOL, KSR_BOOL}, KSR_STEPS_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* mask */
};

const ksr_schema ksr_frame_gate_schema = {ranges, words, inputs, 3, 4, 0, 0, 0, 1, 1, 0, 0, 0};
