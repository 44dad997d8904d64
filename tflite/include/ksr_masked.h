/* A recurrent layer over a sequence of which some steps are left out.
 *
 * At such a step the states are held, and the output is that of the step before, 0 at the start; or 0 throughout, where
 * `zero_output` is not 0. */
#ifndef KSR_MASKED_H_
#define KSR_MASKED_H_
/* Sources: masked.c */

#include "ksr_recurrent_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a layer, a struct that begins with a ksr_recurrent and of which each state has its memory, by its function
 * `run`. `mask` has a value for each step, 0 where the step is left out. The struct is changed on the way. */
void ksr_run_masked(void *layer, void (*run)(const void *layer, void *scratch), const void *mask, int32_t zero_output,
                    int32_t output_zero_point, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_MASKED_H_ */
