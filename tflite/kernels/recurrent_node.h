/* A recurrent layer from a checked node. */
#ifndef KSR_KERNELS_RECURRENT_NODE_H_
#define KSR_KERNELS_RECURRENT_NODE_H_
/* Sources: recurrent_node.c KSR_WITH_OTHER_GATES:activation_table.c */

#include <stddef.h>

#include "ksr_node.h"
#include "ksr_recurrent.h"
#include "ksr_schema.h"
#include "recurrent.h"

enum { KSR_MOST_STATES = KSR_MAX_OUTPUTS - 1 };

/* What each byte of a cleared state is. */
enum { KSR_FROM_0 = 0, KSR_FROM_LOWEST, KSR_FROM_X_ZERO_POINT }; /* the others in int8 alone */

/* Where the layer of an op keeps the pointer to a state. */
typedef struct ksr_state_place {
  uint16_t offset;
  uint8_t zero;
} ksr_state_place;

/* What is the same in all nodes of an op. Its layer begins with a ksr_recurrent. */
typedef struct ksr_recurrent_kind {
  const ksr_schema *schema;
  const ksr_state_place *states; /* in the order of the schema's */
  int32_t shared;                /* number of the first of the inputs that any recurrent op may have */
  void (*run)(const void *layer, void *scratch);
} ksr_recurrent_kind;

/* What a node says of its states and of the steps to be left out. */
typedef struct ksr_recurrent_calls {
  uint32_t scratch; /* bytes that the layer needs; the states behind them */
  int32_t initial_states, zero_output_for_mask, output_zero_point;
  uint32_t state_bytes[KSR_MOST_STATES]; /* of one sample; 0: the op has no such state */
} ksr_recurrent_calls;

/* Reads what a node says to all recurrent ops: `layer`, and in integers `gates`. The op's own words, `own_count` of
 * them, go to `own`; `shared` is the number of the first of the inputs that any recurrent op may have. */
void ksr_recurrent_set_up(ksr_recurrent *layer, ksr_gates *gates, const ksr_node *node, int32_t *own,
                          int32_t own_count, int32_t shared);

/* Whether a node has tanh, its gates (if any) sigmoid, and neither states nor gates beyond 1. */
int32_t ksr_has_usual_gates(const ksr_node *node, int32_t has_gates);

/* Whether a node has hard_tanh, its gates hard_sigmoid, and neither states nor gates beyond 1. */
int32_t ksr_has_hard_gates(const ksr_node *node);

/* Whether a node has tanh, its gates sigmoid, and no gates beyond 1. */
int32_t ksr_has_usual_functions(const ksr_node *node);

/* The activations of a node, where it has others; KSR_NOT_BUILT where one was left out of the build. */
ksr_status ksr_set_activations(ksr_gates *gates, const ksr_node *node, int32_t has_gates);

/* By its number; NULL where it was left out of the build. */
ksr_activation *ksr_activation_of(int32_t number, int32_t is_float);

/* A multiplier as it is stored. */
ksr_multiplier ksr_multiplier_of(int32_t value);

/* Then the matrix of which input number `i` holds the values. */
ksr_matrix ksr_recurrent_matrix(const ksr_recurrent *layer, const ksr_node *node, int32_t i, ksr_slots slots);

/* A factor of a kernel of low rank: one that reads the state, or the inputs. */
ksr_matrix ksr_recurrent_factor(const ksr_recurrent *layer, const ksr_node *node, int32_t i, int32_t of_state,
                                int32_t columns);

/* And how it is to be called; `scratch` is what the layer needs. Returns the bytes of scratch memory of the node. */
uint32_t ksr_recurrent_set_calls(ksr_recurrent_calls *calls, const ksr_recurrent_kind *kind, const ksr_node *node,
                                 uint32_t scratch);

/* Runs the layer for each sample of the batch. */
void ksr_recurrent_invoke(const ksr_recurrent_kind *kind, const ksr_recurrent_calls *calls, const ksr_node *node,
                          void *layer, void *scratch);

#endif /* KSR_KERNELS_RECURRENT_NODE_H_ */
