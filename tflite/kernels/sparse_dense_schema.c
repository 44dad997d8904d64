/* KsrSparseDense: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#include "ksr_sparse_dense_schema.h"

static const ksr_range ranges[] = {
    {0, 0}, {0, 1}, {1, 65535}, {4, 16}, {0, 2}, {0, 0}, {0, 4}, {0, 13}, {-128, 127}, {0, 2147483647},
    {1, 62}
};

static const ksr_word words[] = {
    {{1, 1, 1}, KSR_ANY_VALUE, 0, 0}, /* format */
    {{2, 2, 2}, KSR_ANY_VALUE, 0, 0}, /* units */
    {{3, 3, 3}, KSR_POWER_OF_TWO, 0, 0}, /* block */
    {{4, 4, 4}, KSR_ANY_VALUE, 0, 0}, /* activation */
    {{5, 6, 6}, KSR_0_OR_4, 0, 0}, /* weight_bits */
    {{5, 7, 7}, KSR_WITHOUT_2, 0, 0}, /* layout */
    {{5, 8, 8}, KSR_ANY_VALUE, 0, 0}, /* x_zero_point */
    {{5, 8, 8}, KSR_ANY_VALUE, 0, 0}, /* output_zero_point */
    {{5, 8, 8}, KSR_ANY_VALUE, 10, 0}, /* output_min */
    {{5, 8, 8}, KSR_ANY_VALUE, 0, 0}, /* output_max */
};

static const ksr_input inputs[] = {
    {{KSR_FLOAT32, KSR_INT8, -1}, KSR_ANY, 0, 0, {0}, 0, 0, 0, 0}, /* x */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, 0, 0, {1}, 0, 0, 0, 0}, /* kernel */
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* kernel_index */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* kernel_rows */
    {{KSR_FLOAT32, KSR_INT32, -1}, KSR_STRIDE, 0, 0, {0}, 0, 0, 0, 0}, /* bias */
    {{-1, KSR_INT32, -1}, KSR_STRIDE, 0, 9, {0}, 0, 0, 0, 0}, /* multiplier */
    {{-1, KSR_UINT8, -1}, KSR_STRIDE, 0, 10, {0}, 0, 0, 0, 0}, /* shift */
};

const ksr_schema ksr_sparse_dense_schema = {ranges, words, inputs, 10, 7, 4, 5, 6, 0, 0, 0, 0, 0};
