/* A simple recurrent layer; see ksr_simple_rnn.h. */
#ifndef KSR_SIMPLE_RNN_LAYER_H_
#define KSR_SIMPLE_RNN_LAYER_H_
/* Sources: simple_rnn_layer.c simple_rnn_i8.c KSR_WITH_INT16:simple_rnn_i16.c KSR_WITH_FLOAT32:simple_rnn_f32.c
 *          KSR_WITH_USUAL_GATES:simple_rnn_units_usual_i8.c
 *          KSR_WITH_USUAL_GATES+KSR_WITH_INT16:simple_rnn_units_usual_i16.c
 *          KSR_WITH_OTHER_GATES:simple_rnn_units_other.c */

#include "ksr_recurrent_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ksr_simple_rnn_layer;

/* Computes the state of a step from its accumulators, and the output if `output` is not NULL. Usual: tanh, in Q15. */
typedef void ksr_simple_rnn_units(const struct ksr_simple_rnn_layer *layer, const int32_t *acc, void *h, void *output);

ksr_simple_rnn_units ksr_simple_rnn_units_usual_i8, ksr_simple_rnn_units_usual_i16, ksr_simple_rnn_units_other;

typedef struct ksr_simple_rnn_layer {
  ksr_recurrent recurrent;
  ksr_gates gates;             /* float layers use the activations only */
  ksr_simple_rnn_units *units; /* integer layers only */
  void *h; /* state; NULL: zero at the start, kept in scratch */
} ksr_simple_rnn_layer;

/* Bytes of scratch memory that its functions need, aligned to 16. */
uint32_t ksr_simple_rnn_scratch(const ksr_simple_rnn_layer *layer);

void ksr_simple_rnn_run_i8(const ksr_simple_rnn_layer *layer, void *scratch);
void ksr_simple_rnn_run_i16(const ksr_simple_rnn_layer *layer, void *scratch);
void ksr_simple_rnn_run_f32(const ksr_simple_rnn_layer *layer, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_SIMPLE_RNN_LAYER_H_ */
