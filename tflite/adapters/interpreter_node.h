/* Converts an interpreter's tensors to those of the core. Shared by the LiteRT and the TFLM adapter. */
#ifndef KSR_INTERPRETER_NODE_H_
#define KSR_INTERPRETER_NODE_H_

#include <stdio.h>

#include "ksr.h"
#include "ksr_names.h"
#include "ksr_node.h"

typedef enum { STATUS_OK = 0, STATUS_ERROR = 1 } status;

/* Lists of tensor numbers, and shapes, in both interpreters. */
typedef struct int_array {
  int32_t size;
  int32_t data[];
} int_array;

enum { TENSOR_ABSENT = -1 }; /* the number of an optional input that is not given */

/* A node of the core with room for its tensors. */
typedef struct node_view {
  ksr_node node;
  ksr_tensor inputs[KSR_MAX_INPUTS];
  ksr_tensor outputs[KSR_MAX_OUTPUTS];
} node_view;

/* Both interpreters number the types in the same way. A type that no op of this library takes becomes the number
 * after the last one, so that the op refuses it; -1 would mean an absent tensor. */
static inline int32_t ksr_type_of(int32_t interpreter_type) {
  switch (interpreter_type) {
    case 1: return KSR_FLOAT32;
    case 2: return KSR_INT32;
    case 3: return KSR_UINT8;
    case 6: return KSR_BOOL;
    case 7: return KSR_INT16;
    case 9: return KSR_INT8;
    case 16: return KSR_UINT32;
    case 17: return KSR_UINT16;
    default: return KSR_OTHER_TYPE;
  }
}

/* Returns 0 if there are more dimensions than the core supports. */
static inline int view_tensor(ksr_tensor *view, int32_t interpreter_type, const int_array *dims, void *data) {
  if (dims->size > KSR_MAX_RANK) return 0;
  view->data = data;
  view->type = ksr_type_of(interpreter_type);
  view->rank = dims->size;
  for (int32_t i = 0; i < dims->size; ++i) view->dims[i] = dims->data[i];
  return 1;
}

static inline void view_absent_tensor(ksr_tensor *view) {
  view->data = 0;
  view->type = -1;
  view->rank = 0;
}

/* Whether every given tensor has memory, as it must before an invocation. Of several outputs, those that nothing
 * reads may have none. */
static inline int tensors_are_placed(const node_view *view) {
  int placed = 1;
  for (int32_t i = 0; i < view->node.input_count; ++i) placed &= view->inputs[i].data || view->inputs[i].type < 0;
  for (int32_t i = 0; i < view->node.output_count; ++i) {
    placed &= view->outputs[i].data != 0 || view->node.output_count > 1;
  }
  return placed;
}

/* Describes what an op finds wrong with its node: the name of the word or tensor, and the given value. */
static inline void explain(const ksr_op *op, const ksr_node *node, ksr_status status, char *text, size_t size) {
  const int32_t kind = KSR_KIND(status), number = KSR_NUMBER(status);
  const ksr_names *names = all_names;
  while (names->schema != op->schema) ++names;
  if (KSR_IS_OF_WORD(kind)) {
    int32_t words[KSR_MOST_WORDS];
    ksr_read_words(node, 0, 1 + op->schema->word_count, words);
    const ksr_range range = ksr_range_of_word(op->schema, words, number);
    snprintf(text, size, "%s (word %d) is %d; allowed: %d to %d", names->words[number - 1], (int)number,
             (int)words[number], (int)range.low, (int)range.high);
  } else if (KSR_IS_OF_INPUT(kind)) {
    const ksr_tensor *tensor = ksr_is_absent(node, number) ? 0 : &node->inputs[number];
    int length = snprintf(text, size, "%s (input %d) %s", names->inputs[number], (int)number, ksr_status_text(status));
    if (tensor) length += snprintf(text + length, size - (size_t)length, "; given: (");
    for (int32_t i = 0; tensor && i < tensor->rank; ++i) {
      length += snprintf(text + length, size - (size_t)length, i ? ", %d" : "%d", (int)tensor->dims[i]);
    }
    if (tensor) snprintf(text + length, size - (size_t)length, ")");
  } else {
    snprintf(text, size, "%s", ksr_status_text(status));
  }
}

#endif /* KSR_INTERPRETER_NODE_H_ */
