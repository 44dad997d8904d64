/* Reads a node of an op that ksr_check has checked, or that was checked when it was written as C. */
#ifndef KSR_NODE_H_
#define KSR_NODE_H_
/* Sources: node.c */

#include "ksr.h"
#include "ksr_matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KSR_FLOAT32_FORMAT = 0, KSR_INT8_FORMAT, KSR_INT8X16_FORMAT, KSR_FORMATS }; /* word 1 of every op */

/* Whether an input is absent. */
static inline int ksr_is_absent(const ksr_node *node, int32_t i) {
  return i >= node->input_count || node->inputs[i].type < 0;
}

/* The data of an input; NULL if it is absent. */
const void *ksr_data_of(const ksr_node *node, int32_t i);

/* Reads `count` words of the custom options, little-endian, beginning with number `first`. */
void ksr_read_words(const ksr_node *node, int32_t first, int32_t count, int32_t *words);

/* The part of the word `layout` about a matrix of inputs or of units: for a dense one, and for one in blocks. */
typedef struct ksr_layout {
  int32_t by_outputs, height;
} ksr_layout;

static inline ksr_layout ksr_layout_of(int32_t word, int32_t of_units) {
  const int32_t exponent = word >> (of_units ? 4 : 2) & 3;
  const ksr_layout layout = {word >> (of_units ? 1 : 0) & 1, exponent ? 2 << exponent : 1};
  return layout;
}

/* Reads the matrix whose values are input number `i`. */
ksr_matrix ksr_matrix_of(const ksr_node *node, int32_t i, int32_t sources, int32_t block, int32_t stride,
                         ksr_slots slots, ksr_layout layout, int32_t weight_bits);

#ifdef __cplusplus
}
#endif

#endif /* KSR_NODE_H_ */
