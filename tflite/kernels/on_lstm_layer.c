#include "ksr_on_lstm_layer.h"

uint32_t ksr_on_lstm_scratch(const ksr_on_lstm_layer *layer) { return ksr_lstm_scratch(&layer->lstm); }

void ksr_on_lstm_run_i8(const ksr_on_lstm_layer *layer, void *scratch) { ksr_lstm_run_i8(&layer->lstm, scratch); }

#if KSR_WITH_INT16
void ksr_on_lstm_run_i16(const ksr_on_lstm_layer *layer, void *scratch) { ksr_lstm_run_i16(&layer->lstm, scratch); }
#endif
