#include "gates_i8.h"
#include "ksr_gru_layer.h"

void ksr_gru_reset_usual_i8(const ksr_gates *gates, const int32_t *acc, const int16_t *h, int32_t units,
                            int16_t *reset) {
  for (int32_t i = 0; i < units; ++i) {
    reset[i] = (int16_t)((ksr_sigmoid_i8(gates, 1, acc[i]) * h[i] + (1 << 14)) >> 15);
  }
}
