/* KsrGru: what its words and inputs may be; made by keras_sparse_rnn/ops/generate.py. */
#include "ksr_gru_schema.h"

static const ksr_range ranges[] = {
    {0, 0}, {0, 2}, {1, 65535}, {4, 16}, {0, 1}, {0, 13}, {0, 0}, {0, 4}, {0, 63}, {0, 14}, {-128, 127},
    {0, 7}, {7, 10}, {7, 15}, {0, 2147483647}, {0, 32767}, {1, 30}, {8, 8}, {2, 15}, {0, 1073741824},
    {0, 65535}
};

static const ksr_word words[] = {
    {{1, 1, 1}, KSR_ANY_VALUE, 0, 0}, /* format */
    {{2, 2, 2}, KSR_ANY_VALUE, 0, 0}, /* units */
    {{3, 3, 3}, KSR_POWER_OF_TWO, 0, 0}, /* block */
    {{1, 1, 1}, KSR_ANY_VALUE, 5, 1}, /* go_backwards */
    {{4, 4, 4}, KSR_ANY_VALUE, 0, 0}, /* return_sequences */
    {{5, 5, 5}, KSR_ANY_VALUE, 0, 0}, /* activation */
    {{5, 5, 5}, KSR_ANY_VALUE, 0, 0}, /* recurrent_activation */
    {{6, 7, 7}, KSR_0_OR_4, 0, 0}, /* weight_bits */
    {{6, 8, 8}, KSR_ANY_VALUE, 0, 0}, /* layout */
    {{4, 4, 4}, KSR_ANY_VALUE, 0, 0}, /* zero_output_for_mask */
    {{4, 4, 4}, KSR_ANY_VALUE, 0, 0}, /* initial_states */
    {{6, 9, 9}, KSR_ANY_VALUE, 0, 0}, /* state_bits */
    {{6, 9, 9}, KSR_ANY_VALUE, 0, 0}, /* gate_bits */
    {{6, 10, 6}, KSR_ANY_VALUE, 0, 0}, /* x_zero_point */
    {{6, 11, 11}, KSR_ANY_VALUE, 0, 0}, /* x_shift */
    {{6, 11, 5}, KSR_ANY_VALUE, -27, 15}, /* h_shift */
    {{6, 12, 13}, KSR_ANY_VALUE, 0, 0}, /* fraction */
    {{6, 14, 14}, KSR_15_BITS, 0, 0}, /* multiplier_0 */
    {{6, 14, 14}, KSR_15_BITS, 0, 0}, /* multiplier_1 */
    {{6, 14, 14}, KSR_15_BITS, 0, 0}, /* multiplier_2 */
    {{6, 14, 14}, KSR_15_BITS, 0, 0}, /* multiplier_3 */
    {{6, 15, 15}, KSR_ANY_VALUE, 0, 0}, /* operand_multiplier */
    {{6, 16, 16}, KSR_ANY_VALUE, 0, 0}, /* operand_shift */
    {{6, 15, 15}, KSR_ANY_VALUE, 0, 0}, /* output_multiplier */
    {{6, 16, 16}, KSR_ANY_VALUE, 0, 0}, /* output_shift */
    {{6, 10, 6}, KSR_ANY_VALUE, 0, 0}, /* output_zero_point */
    {{6, 17, 18}, KSR_ANY_VALUE, 0, 0}, /* operand_bits */
    {{7, 7, 7}, KSR_ANY_VALUE, 0, 0}, /* reset_gate */
    {{8, 8, 8}, KSR_ANY_VALUE, 0, 0}, /* deep */
    {{19, 19, 19}, KSR_ANY_VALUE, 0, 0}, /* zeta */
    {{19, 19, 19}, KSR_ANY_VALUE, 0, 0}, /* nu */
    {{20, 20, 20}, KSR_ANY_VALUE, 0, 0}, /* rank */
    {{20, 20, 20}, KSR_ANY_VALUE, 2, 0}, /* recurrent_rank */
    {{6, 14, 14}, KSR_15_BITS, 0, 0}, /* middle_multiplier_0 */
    {{6, 14, 14}, KSR_15_BITS, 0, 0}, /* middle_multiplier_1 */
    {{6, 17, 18}, KSR_ANY_VALUE, 0, 0}, /* middle_bits */
    {{6, 11, 11}, KSR_ANY_VALUE, -36, 15}, /* middle_shift */
};

static const ksr_input inputs[] = {
    {{KSR_FLOAT32, KSR_INT8, KSR_INT16}, KSR_ANY, 0, 0, {0}, 0, 0, 0, 0}, /* x */
    /* kernel */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, KSR_SLOTS_BY_WORD, 0, {5, 7, 7, 7, 1}, 28, 0, 0, 0},
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* kernel_index */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* kernel_rows */
    /* recurrent_kernel */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, KSR_OF_UNITS | KSR_SLOTS_BY_WORD, 0, {5, 11, 3, 7, 1}, 28, 0,
     0, 0},
    /* recurrent_kernel_index */
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL | KSR_OF_UNITS, 0, {0}, 0, 0, 0, 0},
    /* recurrent_kernel_rows */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL | KSR_OF_UNITS, 0, {0}, 0, 0, 0, 0},
    {{KSR_FLOAT32, KSR_INT32, KSR_INT32}, KSR_SLOTS_SIZE, 0, 0, {0}, 0, 0, 0, 0}, /* bias */
    /* deep_kernel */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, KSR_OF_DEEP | KSR_SLOTS_BY_WORD, 0, {5, 5, 5, 7, 1}, 28, 0, 0,
     0},
    /* deep_kernel_index */
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL | KSR_OF_DEEP, 0, {0}, 0, 0, 0, 0},
    /* deep_kernel_rows */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL | KSR_OF_DEEP, 0, {0}, 0, 0, 0, 0},
    {{KSR_FLOAT32, KSR_INT32, KSR_INT32}, KSR_DEEP_SLOTS_SIZE, KSR_OF_DEEP, 0, {0}, 0, 0, 0, 0}, /* deep_bias */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, KSR_OF_UNITS, 0, {1}, 28, 4, 0, 0}, /* candidate_kernel */
    /* candidate_kernel_index */
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL | KSR_OF_UNITS, 0, {0}, 28, 4, 0, 0},
    /* candidate_kernel_rows */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL | KSR_OF_UNITS, 0, {0}, 28, 4, 0, 0},
    {{KSR_FLOAT32, KSR_INT16, KSR_INT16}, KSR_UNITS, KSR_OPTIONAL | KSR_STATE, 0, {0}, 0, 0, 0, 0}, /* h */
    {{KSR_FLOAT32, KSR_UINT16, KSR_UINT16}, KSR_UNITS, KSR_OPTIONAL, 0, {0}, 28, 4, 27, 0}, /* reset_threshold */
    {{KSR_FLOAT32, KSR_INT16, KSR_INT16}, KSR_UNITS, KSR_OPTIONAL | KSR_STATE, 0, {0}, 0, 0, 16, 28}, /* held_reset */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, KSR_OF_FACTORS, 0, {1}, 0, 0, 0, 0}, /* input_factor_kernel */
    /* input_factor_kernel_index */
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL | KSR_OF_FACTORS, 0, {0}, 0, 0, 0, 0},
    /* input_factor_kernel_rows */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL | KSR_OF_FACTORS, 0, {0}, 0, 0, 0, 0},
    /* recurrent_factor_kernel */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_VALUES_SIZE, KSR_OF_UNITS | KSR_OF_FACTORS, 0, {1}, 0, 0, 0, 0},
    /* recurrent_factor_kernel_index */
    {{KSR_UINT8, KSR_UINT8, KSR_UINT8}, KSR_INDEX_SIZE, KSR_OPTIONAL | KSR_OF_UNITS | KSR_OF_FACTORS, 0, {0}, 0, 0, 0,
     0},
    /* recurrent_factor_kernel_rows */
    {{KSR_UINT16, KSR_UINT16, KSR_UINT16}, KSR_ROWS_SIZE, KSR_OPTIONAL | KSR_OF_UNITS | KSR_OF_FACTORS, 0, {0}, 0, 0, 0,
     0},
    {{-1, KSR_INT32, KSR_INT32}, KSR_MIDDLE_SIZE, KSR_OF_FACTORS, 0, {0}, 0, 0, 0, 0}, /* middle_start */
    {{-1, KSR_INT16, KSR_INT16}, KSR_SLOTS_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* output_scales */
    {{KSR_FLOAT32, KSR_UINT8, KSR_UINT16}, KSR_INPUTS, KSR_OPTIONAL, 0, {0}, 11, 1, 0, 0}, /* input_threshold */
    {{KSR_FLOAT32, KSR_UINT16, KSR_UINT16}, KSR_UNITS, KSR_OPTIONAL, 0, {0}, 0, 0, 26, 0}, /* hidden_threshold */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT16}, KSR_INPUTS, KSR_OPTIONAL | KSR_STATE, 0, {0}, 0, 0, 26, 29}, /* held_x */
    {{KSR_FLOAT32, KSR_INT32, KSR_INT32}, KSR_SUMS_SIZE, KSR_OPTIONAL | KSR_STATE, 0, {0}, 0, 0, 26, 28}, /* sums */
    {{KSR_FLOAT32, KSR_INT16, KSR_INT16}, KSR_UNITS, KSR_OPTIONAL | KSR_STATE, 0, {0}, 0, 0, 27, 28}, /* held_h */
    {{KSR_BOOL, KSR_BOOL, KSR_BOOL}, KSR_STEPS_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 0, 0}, /* mask */
    {{-1, -1, -1}, KSR_ANY, 0, 0, {0}, 0, 0, 0, 0}, /* threshold_scale */
    /* recurrent_kernel_diagonal */
    {{KSR_FLOAT32, KSR_INT8, KSR_INT8}, KSR_DIAGONAL_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 5, 0},
    {{KSR_FLOAT32, KSR_INT8, KSR_INT16}, KSR_OUTPUT_SIZE, KSR_OPTIONAL, 0, {0}, 0, 0, 31, 0}, /* last_output */
};

const ksr_schema ksr_gru_schema = {ranges, words, inputs, 37, 35, 7, 8, 9, 1, 0, 29, 0, 32};
