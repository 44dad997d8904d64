/* What the words and inputs of the ops are called; made by keras_sparse_rnn/ops/generate.py. */
#ifndef KSR_NAMES_H_
#define KSR_NAMES_H_

#include "ksr_event_gru_schema.h"
#include "ksr_gru_schema.h"
#include "ksr_lstm_schema.h"
#include "ksr_on_lstm_schema.h"
#include "ksr_simple_rnn_schema.h"
#include "ksr_sparse_dense_schema.h"
#include "ksr_frame_gate_schema.h"

typedef struct ksr_names {
  const ksr_schema *schema;
  const char *words[37];
  const char *inputs[35];
} ksr_names;

static const ksr_names all_names[] = {
    {&ksr_event_gru_schema,
     {"format", "units", "block", "go_backwards", "return_sequences", "activation", "recurrent_activation",
      "weight_bits", "layout", "zero_output_for_mask", "initial_states", "state_bits", "gate_bits",
      "x_zero_point", "x_shift", "h_shift", "fraction", "multiplier_0", "multiplier_1", "multiplier_2",
      "multiplier_3", "operand_multiplier", "operand_shift", "output_multiplier", "output_shift",
      "output_zero_point", "operand_bits", "readout", "reset", "trace_rate", "reset_gate"},
     {"x", "kernel", "kernel_index", "kernel_rows", "recurrent_kernel", "recurrent_kernel_index",
      "recurrent_kernel_rows", "bias", "threshold", "y", "c", "trace", "output_scales", "input_threshold",
      "hidden_threshold", "held_x", "sums", "held_h", "mask", "threshold_scale",
      "recurrent_kernel_diagonal", "last_output"}},
    {&ksr_gru_schema,
     {"format", "units", "block", "go_backwards", "return_sequences", "activation", "recurrent_activation",
      "weight_bits", "layout", "zero_output_for_mask", "initial_states", "state_bits", "gate_bits",
      "x_zero_point", "x_shift", "h_shift", "fraction", "multiplier_0", "multiplier_1", "multiplier_2",
      "multiplier_3", "operand_multiplier", "operand_shift", "output_multiplier", "output_shift",
      "output_zero_point", "operand_bits", "reset_gate", "deep", "zeta", "nu", "rank", "recurrent_rank",
      "middle_multiplier_0", "middle_multiplier_1", "middle_bits", "middle_shift"},
     {"x", "kernel", "kernel_index", "kernel_rows", "recurrent_kernel", "recurrent_kernel_index",
      "recurrent_kernel_rows", "bias", "deep_kernel", "deep_kernel_index", "deep_kernel_rows", "deep_bias",
      "candidate_kernel", "candidate_kernel_index", "candidate_kernel_rows", "h", "reset_threshold",
      "held_reset", "input_factor_kernel", "input_factor_kernel_index", "input_factor_kernel_rows",
      "recurrent_factor_kernel", "recurrent_factor_kernel_index", "recurrent_factor_kernel_rows",
      "middle_start", "output_scales", "input_threshold", "hidden_threshold", "held_x", "sums", "held_h",
      "mask", "threshold_scale", "recurrent_kernel_diagonal", "last_output"}},
    {&ksr_lstm_schema,
     {"format", "units", "block", "go_backwards", "return_sequences", "activation", "recurrent_activation",
      "weight_bits", "layout", "zero_output_for_mask", "initial_states", "state_bits", "gate_bits",
      "x_zero_point", "x_shift", "h_shift", "fraction", "multiplier_0", "multiplier_1", "multiplier_2",
      "multiplier_3", "operand_multiplier", "operand_shift", "output_multiplier", "output_shift",
      "output_zero_point", "operand_bits", "cell_bits"},
     {"x", "kernel", "kernel_index", "kernel_rows", "recurrent_kernel", "recurrent_kernel_index",
      "recurrent_kernel_rows", "bias", "h", "c", "output_scales", "input_threshold", "hidden_threshold",
      "held_x", "sums", "held_h", "mask", "threshold_scale", "recurrent_kernel_diagonal", "last_output"}},
    {&ksr_on_lstm_schema,
     {"format", "units", "block", "go_backwards", "return_sequences", "activation", "recurrent_activation",
      "weight_bits", "layout", "zero_output_for_mask", "initial_states", "state_bits", "gate_bits",
      "x_zero_point", "x_shift", "h_shift", "fraction", "multiplier_0", "multiplier_1", "multiplier_2",
      "multiplier_3", "operand_multiplier", "operand_shift", "output_multiplier", "output_shift",
      "output_zero_point", "operand_bits", "cell_bits", "chunk_size"},
     {"x", "kernel", "kernel_index", "kernel_rows", "recurrent_kernel", "recurrent_kernel_index",
      "recurrent_kernel_rows", "bias", "h", "c", "output_scales", "input_threshold", "hidden_threshold",
      "held_x", "sums", "held_h", "mask", "threshold_scale", "recurrent_kernel_diagonal", "last_output"}},
    {&ksr_simple_rnn_schema,
     {"format", "units", "block", "go_backwards", "return_sequences", "activation", "recurrent_activation",
      "weight_bits", "layout", "zero_output_for_mask", "initial_states", "state_bits", "gate_bits",
      "x_zero_point", "x_shift", "h_shift", "fraction", "multiplier_0", "multiplier_1", "multiplier_2",
      "multiplier_3", "operand_multiplier", "operand_shift", "output_multiplier", "output_shift",
      "output_zero_point", "operand_bits"},
     {"x", "kernel", "kernel_index", "kernel_rows", "recurrent_kernel", "recurrent_kernel_index",
      "recurrent_kernel_rows", "bias", "h", "output_scales", "input_threshold", "hidden_threshold",
      "held_x", "sums", "held_h", "mask", "threshold_scale", "recurrent_kernel_diagonal", "last_output"}},
    {&ksr_sparse_dense_schema,
     {"format", "units", "block", "activation", "weight_bits", "layout", "x_zero_point",
      "output_zero_point", "output_min", "output_max"},
     {"x", "kernel", "kernel_index", "kernel_rows", "bias", "multiplier", "shift"}},
    {&ksr_frame_gate_schema,
     {"format", "count", "x_zero_point"},
     {"x", "threshold", "last", "mask"}},
};

#endif /* KSR_NAMES_H_ */
