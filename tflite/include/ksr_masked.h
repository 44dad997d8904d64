/* A recurrent layer over a sequence with masked steps.
 *
 * At a masked step the states do not change, and the output is that of the previous step; or always 0 if `zero_output`
 * is not 0. */
#ifndef KSR_MASKED_H_
#define KSR_MASKED_H_
/* Sources: masked.c */

#include "ksr_recurrent_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a layer with its function `run`. The layer is a struct that begins with a ksr_recurrent, with memory for each
 * state; it is modified. `mask` has a value for each step, 0 for a masked one. Before the first step, the
 * output is 0, or `last_output`, which is updated. */
void ksr_run_masked(void *layer, void (*run)(const void *layer, void *scratch), const void *mask, void *last_output,
                    int32_t zero_output, int32_t output_zero_point, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_MASKED_H_ */
