/* A checked KsrSimpleRnn node. */
#ifndef KSR_SIMPLE_RNN_STEPS_H_
#define KSR_SIMPLE_RNN_STEPS_H_

#include "gates_i8.h"
#include "ksr_simple_rnn.h"
#include "recurrent.h"

typedef struct ksr_simple_rnn_node {
  ksr_recurrent recurrent;
  ksr_gates gates; /* int8 models only */
} ksr_simple_rnn_node;

/* Bytes of a state in scratch memory, which it needs where it has no tensor. */
uint32_t ksr_simple_rnn_state_size(const ksr_recurrent *r);

#endif /* KSR_SIMPLE_RNN_STEPS_H_ */
