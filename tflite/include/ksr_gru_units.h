/* The element-wise part of a GRU in integers: for each unit the gates and the new state,
 *
 *   z = s(acc[0])    r = s(acc[1])    g = f(acc[2] + r * acc[3])    state = z * state + (1 - z) * g,
 *
 * where acc[k] is k * stride after the unit's first accumulator. Usual gates: s is sigmoid, f is tanh, and states are
 * in Q15. */
#ifndef KSR_GRU_UNITS_PUBLIC_H_
#define KSR_GRU_UNITS_PUBLIC_H_
/* Sources: KSR_WITH_USUAL_GATES:gru_units_usual_i8.c KSR_WITH_USUAL_GATES+KSR_WITH_INT16:gru_units_usual_i16.c
 *          KSR_WITH_OTHER_GATES:gru_units_other.c KSR_WITH_OTHER_GATES+KSR_WITH_PIECEWISE:gru_units_hard.c
 *          KSR_WITH_OTHER_GATES:fast_grnn_units.c */

#include "ksr_gates.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether a GRU has a reset gate, and whether it is applied before or after the product with R; or instead a gate of
 * the candidate's share; or none, where gate and candidate share one product, as in FastGRNN. */
enum { KSR_NO_RESET_GATE = 0, KSR_RESET_AFTER, KSR_RESET_BEFORE, KSR_UNCOUPLED, KSR_SHARED_PRODUCT };

typedef void ksr_gru_units(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units);

ksr_gru_units ksr_gru_units_usual_i8, ksr_gru_units_usual_i16, ksr_gru_units_other;

/* With an open reset gate, as it was applied before the product. */
ksr_gru_units ksr_gru_units_after_reset_usual_i8, ksr_gru_units_after_reset_usual_i16, ksr_gru_units_after_reset_other;

/* For hard_sigmoid and hard_tanh, with states and gates in Q15; `_other` gives the same results. */
ksr_gru_units ksr_gru_units_hard, ksr_gru_units_after_reset_hard;

/* Without a reset gate: g = f(acc[2]). */
ksr_gru_units ksr_light_gru_units_usual_i8, ksr_light_gru_units_usual_i16, ksr_light_gru_units_other;
ksr_gru_units ksr_light_gru_units_hard;

/* The candidate's share has a gate of its own: state = z * state + r * f(acc[2]). */
ksr_gru_units ksr_uncoupled_units_other;

/* FastGRNN: z = s(acc[0])    g = f(acc[0] + acc[2])    state = z * state + (zeta * (1 - z) + nu) * g. `_usual`, for
 * sigmoid and tanh with gates in Q15, gives the same results as `_other`. */
ksr_gru_units ksr_fast_grnn_units_usual, ksr_fast_grnn_units_other;

#ifdef __cplusplus
}
#endif

#endif /* KSR_GRU_UNITS_PUBLIC_H_ */
