/* An LSTM; see ksr_lstm.h. */
#ifndef KSR_LSTM_LAYER_H_
#define KSR_LSTM_LAYER_H_
/* Sources: lstm_layer.c lstm_i8.c KSR_WITH_INT16:lstm_i16.c KSR_WITH_FLOAT32:lstm_f32.c
 *          KSR_WITH_USUAL_GATES:lstm_units_usual_i8.c KSR_WITH_USUAL_GATES+KSR_WITH_INT16:lstm_units_usual_i16.c
 *          KSR_WITH_OTHER_GATES:lstm_units_other.c */

#include "ksr_recurrent_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ksr_lstm_layer;

/* Computes the states of a step from its accumulators, which are overwritten, and the output if `output` is not NULL.
 * Usual gates: sigmoid, with tanh, h in Q15, and at most 7 integer bits of c. */
typedef void ksr_lstm_units(const struct ksr_lstm_layer *layer, int32_t *acc, void *h, int16_t *c, void *output);

ksr_lstm_units ksr_lstm_units_usual_i8, ksr_lstm_units_usual_i16, ksr_lstm_units_other;

typedef struct ksr_lstm_layer {
  ksr_recurrent recurrent;
  ksr_gates gates;       /* float layers use the activations only */
  ksr_lstm_units *units; /* integer layers only */
  int32_t cell_bits;
  void *h, *c; /* states; NULL: zero at the start, kept in scratch */
} ksr_lstm_layer;

/* Bytes of scratch memory that its functions need, aligned to 16. */
uint32_t ksr_lstm_scratch(const ksr_lstm_layer *layer);

void ksr_lstm_run_i8(const ksr_lstm_layer *layer, void *scratch);
void ksr_lstm_run_i16(const ksr_lstm_layer *layer, void *scratch);
void ksr_lstm_run_f32(const ksr_lstm_layer *layer, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_LSTM_LAYER_H_ */
