/* A frame gate, for C without an interpreter; see ksr_frame_gate.h. It checks nothing. */
#ifndef KSR_FRAME_GATE_LAYER_H_
#define KSR_FRAME_GATE_LAYER_H_
/* Sources: frame_gate.c */

#include "ksr.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksr_frame_gate_layer {
  int32_t inputs, steps, count;
  const void *threshold; /* of each input */
} ksr_frame_gate_layer;

/* made[t]: whether step t is computed. `mask`: 0 at steps that must not be, or NULL. `last`: x', a state. */
void ksr_frame_gate_run_i8(const ksr_frame_gate_layer *gate, const void *x, const uint8_t *mask, void *last,
                           uint8_t *made);
void ksr_frame_gate_run_i16(const ksr_frame_gate_layer *gate, const void *x, const uint8_t *mask, void *last,
                            uint8_t *made);
void ksr_frame_gate_run_f32(const ksr_frame_gate_layer *gate, const void *x, const uint8_t *mask, void *last,
                            uint8_t *made);

#ifdef __cplusplus
}
#endif

#endif /* KSR_FRAME_GATE_LAYER_H_ */
