/* Activation functions of recurrent layers other than tanh with sigmoid gates, which have kernels of their own.
 *
 * Each works in place on `count` values. Integer functions convert int32 pre-activations in Q(7 + more), with `more`
 * from 0 to 8, to Q(15 - bits), saturated to 16 bits; `_f32` functions take floats and ignore `more` and `bits`. */
#ifndef KSR_ACTIVATIONS_H_
#define KSR_ACTIVATIONS_H_
/* Sources: KSR_WITH_PIECEWISE:activations/piecewise.c KSR_WITH_SOFTSIGN:activations/softsign.c
 *          KSR_WITH_SIGMOID:activations/sigmoid.c KSR_WITH_TANH:activations/tanh.c
 *          KSR_WITH_EXPONENTIAL:activations/exponential.c KSR_WITH_EXPONENTIAL:activations/rise_table.c
 *          KSR_WITH_GELU:activations/gelu.c KSR_WITH_GELU:activations/gelu_table.c
 *          KSR_WITH_OTHER_GATES+KSR_WITH_FLOAT32:activations/activations_f32.c */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void ksr_activation(void *values, int32_t count, int32_t more, int32_t bits);

/* The activations of a layer; NULL for tanh and sigmoid. */
typedef struct ksr_activations {
  ksr_activation *activation, *recurrent_activation; /* of the candidate, of the gates */
  int32_t state_bits, gate_bits;                     /* states are in Q(15 - state_bits), gates in Q(15 - gate_bits) */
  int32_t zeta, nu;                                  /* of FastGRNN, Q30 */
} ksr_activations;

ksr_activation ksr_activate_linear, ksr_activate_relu, ksr_activate_relu6, ksr_activate_leaky_relu;
ksr_activation ksr_activate_hard_sigmoid, ksr_activate_hard_tanh, ksr_activate_softsign;
ksr_activation ksr_activate_sigmoid, ksr_activate_silu, ksr_activate_tanh;
ksr_activation ksr_activate_elu, ksr_activate_selu, ksr_activate_exponential, ksr_activate_gelu;

ksr_activation ksr_activate_linear_f32, ksr_activate_relu_f32, ksr_activate_relu6_f32, ksr_activate_leaky_relu_f32;
ksr_activation ksr_activate_hard_sigmoid_f32, ksr_activate_hard_tanh_f32, ksr_activate_softsign_f32;
ksr_activation ksr_activate_sigmoid_f32, ksr_activate_silu_f32, ksr_activate_tanh_f32;
ksr_activation ksr_activate_elu_f32, ksr_activate_selu_f32, ksr_activate_exponential_f32, ksr_activate_gelu_f32;

#ifdef __cplusplus
}
#endif

#endif /* KSR_ACTIVATIONS_H_ */
