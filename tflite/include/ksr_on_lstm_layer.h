/* An ordered-neurons LSTM; see ksr_on_lstm.h. */
#ifndef KSR_ON_LSTM_LAYER_H_
#define KSR_ON_LSTM_LAYER_H_
/* Sources: on_lstm_layer.c on_lstm_units_other.c activations/rise_table.c KSR_WITH_FLOAT32:on_lstm_f32.c */

#include "ksr_lstm_layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `lstm.units` is ksr_on_lstm_units_other, its activations are not NULL, and its stride counts the master gates. */
typedef struct ksr_on_lstm_layer {
  ksr_lstm_layer lstm;
  int32_t chunk_size;
} ksr_on_lstm_layer;

ksr_lstm_units ksr_on_lstm_units_other; /* of a layer that is the `lstm` of a ksr_on_lstm_layer */

/* Bytes of scratch memory that its functions need, aligned to 16. */
uint32_t ksr_on_lstm_scratch(const ksr_on_lstm_layer *layer);

void ksr_on_lstm_run_i8(const ksr_on_lstm_layer *layer, void *scratch);
void ksr_on_lstm_run_i16(const ksr_on_lstm_layer *layer, void *scratch);
void ksr_on_lstm_run_f32(const ksr_on_lstm_layer *layer, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* KSR_ON_LSTM_LAYER_H_ */
