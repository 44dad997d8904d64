#include "ksr_frame_gate_layer.h"

#include <string.h>

/* 1 where the magnitude of a change is beyond its threshold, else 0. */
static inline int32_t is_beyond(int32_t change, int32_t threshold) {
  return (int32_t)(((uint32_t)(threshold + change) | (uint32_t)(threshold - change)) >> 31);
}

#if KSR_WITH_FLOAT32
static inline int32_t is_beyond_f32(float change, float threshold) {
  return (change < 0.0f ? -change : change) > threshold;
}
#endif

/* One body for each number format. */
#define FRAME_GATE(name, value, limit, is_beyond)                                                              \
  void name(const ksr_frame_gate_layer *gate, const void *x, const uint8_t *mask, void *last, uint8_t *made) { \
    const int32_t inputs = gate->inputs;                                                                       \
    const value *step = x, *before = last;                                                                     \
    const limit *threshold = gate->threshold;                                                                  \
    for (int32_t t = 0; t < gate->steps; ++t, step += inputs) {                                                \
      int32_t moved = 0, i = 0;                                                                                \
      for (; i + 4 <= inputs; i += 4) {                                                                        \
        moved += is_beyond(step[i] - before[i], threshold[i]);                                                 \
        moved += is_beyond(step[i + 1] - before[i + 1], threshold[i + 1]);                                     \
        moved += is_beyond(step[i + 2] - before[i + 2], threshold[i + 2]);                                     \
        moved += is_beyond(step[i + 3] - before[i + 3], threshold[i + 3]);                                     \
      }                                                                                                        \
      for (; i < inputs; ++i) moved += is_beyond(step[i] - before[i], threshold[i]);                           \
      made[t] = moved >= gate->count && (!mask || mask[t]);                                                    \
      if (made[t]) memcpy(last, step, (size_t)inputs * sizeof(value));                                         \
    }                                                                                                          \
  }

FRAME_GATE(ksr_frame_gate_run_i8, int8_t, uint8_t, is_beyond)
#if KSR_WITH_INT16
FRAME_GATE(ksr_frame_gate_run_i16, int16_t, uint16_t, is_beyond)
#endif
#if KSR_WITH_FLOAT32
FRAME_GATE(ksr_frame_gate_run_f32, float, float, is_beyond_f32)
#endif
