#include "gates_i16.h"
#include "ksr_gru_layer.h"

void ksr_gru_reset_usual_i16(const ksr_gates *gates, const int32_t *acc, const int16_t *h, int32_t units,
                             int16_t *reset) {
  for (int32_t i = 0; i < units; ++i) {
    reset[i] = (int16_t)((ksr_sigmoid_i16(gates, 1, acc[i], gates->to_tanh) * h[i] + (1 << 14)) >> 15);
  }
}
