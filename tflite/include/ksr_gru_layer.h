/* A GRU; see ksr_gru.h. */
#ifndef KSR_GRU_LAYER_H_
#define KSR_GRU_LAYER_H_
/* Sources: gru_layer.c gru_i8.c KSR_WITH_INT16:gru_i16.c KSR_WITH_FLOAT32:gru_f32.c
 *          KSR_WITH_USUAL_GATES:gru_reset_usual_i8.c KSR_WITH_USUAL_GATES+KSR_WITH_INT16:gru_reset_usual_i16.c
 *          KSR_WITH_OTHER_GATES:gru_reset_other.c */

#include "ksr_gru_units.h"
#include "ksr_recurrent_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* With the reset before the product: computes r * h, which the candidate reads, from the accumulators of r. */
typedef void ksr_gru_reset(const ksr_gates *gates, const int32_t *acc, const int16_t *h, int32_t units, int16_t *reset);

ksr_gru_reset ksr_gru_reset_usual_i8, ksr_gru_reset_usual_i16, ksr_gru_reset_other;

typedef struct ksr_gru_layer {
  ksr_recurrent recurrent;
  ksr_gates gates; /* float layers use the activations only */
  ksr_gru_units *units; /* integer layers only */
  ksr_gru_reset *reset; /* integer layers with the reset before the product only */
  int32_t reset_gate; /* KSR_NO_RESET_GATE, .. */
  int32_t deep;       /* micro-layers after the first in each step */
  void *h; /* state; NULL: zero at the start, kept in scratch */
  ksr_matrix candidate_kernel; /* with the reset before the product only */
  const void *reset_threshold; /* likewise; NULL: r * h is not held */
  void *held_reset;            /* state: the held r * h */
  ksr_matrix deep_kernel; /* R of the further micro-layers, one below the other */
  const void *deep_bias;
  int32_t rank, recurrent_rank; /* of kernels of low rank, or 0; recurrent_rank 0: x and h share a middle */
  int32_t middle_shift, middle_bits;
  ksr_multiplier middle_multiplier[2]; /* from the sums of each middle to its values */
  ksr_matrix input_factor_kernel, recurrent_factor_kernel;
  const void *middle_start; /* integer layers only */
} ksr_gru_layer;

/* Bytes of scratch memory that its functions need, aligned to 16. */
uint32_t ksr_gru_scratch(const ksr_gru_layer *layer);

void ksr_gru_run_i8(const ksr_gru_layer *layer, void *scratch);
void ksr_gru_run_i16(const ksr_gru_layer *layer, void *scratch);
void ksr_gru_run_f32(const ksr_gru_layer *layer, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_GRU_LAYER_H_ */
