/* Activations by their numbers; made by keras_sparse_rnn/ops/generate.py. */
#include "recurrent_node.h"

static ksr_activation *const integers[14] = {
#if KSR_WITH_PIECEWISE
    [KSR_ACTIVATION_LINEAR] = ksr_activate_linear,
    [KSR_ACTIVATION_RELU] = ksr_activate_relu,
    [KSR_ACTIVATION_RELU6] = ksr_activate_relu6,
    [KSR_ACTIVATION_LEAKY_RELU] = ksr_activate_leaky_relu,
    [KSR_ACTIVATION_HARD_SIGMOID] = ksr_activate_hard_sigmoid,
    [KSR_ACTIVATION_HARD_TANH] = ksr_activate_hard_tanh,
#endif
#if KSR_WITH_TANH
    [KSR_ACTIVATION_TANH] = ksr_activate_tanh,
#endif
#if KSR_WITH_SIGMOID
    [KSR_ACTIVATION_SIGMOID] = ksr_activate_sigmoid,
    [KSR_ACTIVATION_SILU] = ksr_activate_silu,
#endif
#if KSR_WITH_SOFTSIGN
    [KSR_ACTIVATION_SOFTSIGN] = ksr_activate_softsign,
#endif
#if KSR_WITH_EXPONENTIAL
    [KSR_ACTIVATION_ELU] = ksr_activate_elu,
    [KSR_ACTIVATION_SELU] = ksr_activate_selu,
    [KSR_ACTIVATION_EXPONENTIAL] = ksr_activate_exponential,
#endif
#if KSR_WITH_GELU
    [KSR_ACTIVATION_GELU] = ksr_activate_gelu,
#endif
};

#if KSR_WITH_FLOAT32
static ksr_activation *const floats[14] = {
    [KSR_ACTIVATION_LINEAR] = ksr_activate_linear_f32,
    [KSR_ACTIVATION_RELU] = ksr_activate_relu_f32,
    [KSR_ACTIVATION_RELU6] = ksr_activate_relu6_f32,
    [KSR_ACTIVATION_TANH] = ksr_activate_tanh_f32,
    [KSR_ACTIVATION_SIGMOID] = ksr_activate_sigmoid_f32,
    [KSR_ACTIVATION_LEAKY_RELU] = ksr_activate_leaky_relu_f32,
    [KSR_ACTIVATION_HARD_SIGMOID] = ksr_activate_hard_sigmoid_f32,
    [KSR_ACTIVATION_HARD_TANH] = ksr_activate_hard_tanh_f32,
    [KSR_ACTIVATION_SOFTSIGN] = ksr_activate_softsign_f32,
    [KSR_ACTIVATION_ELU] = ksr_activate_elu_f32,
    [KSR_ACTIVATION_SELU] = ksr_activate_selu_f32,
    [KSR_ACTIVATION_SILU] = ksr_activate_silu_f32,
    [KSR_ACTIVATION_GELU] = ksr_activate_gelu_f32,
    [KSR_ACTIVATION_EXPONENTIAL] = ksr_activate_exponential_f32,
};
#endif

ksr_activation *ksr_activation_of(int32_t number, int32_t is_float) {
#if KSR_WITH_FLOAT32
  if (is_float) return floats[number];
#endif
  return is_float ? 0 : integers[number];
}
