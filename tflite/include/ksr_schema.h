/* The allowed custom options and inputs of an op as tables, and the loop that checks a node with them. The tables are
 * generated from the op's declaration in keras_sparse_rnn/ops. */
#ifndef KSR_SCHEMA_H_
#define KSR_SCHEMA_H_
/* Sources: schema.c */

#include "ksr_node.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksr_range {
  int32_t low, high;
} ksr_range;

/* Further conditions on a word within its range. KSR_15_BITS: at most 15 significant bits, so that processors without a
 * 64-bit product can split it. */
enum { KSR_ANY_VALUE = 0, KSR_POWER_OF_TWO, KSR_0_OR_4, KSR_WITHOUT_2, KSR_15_BITS };

typedef struct ksr_word {
  uint8_t range[KSR_FORMATS]; /* number of its range in each number format */
  uint8_t form;
  int8_t limit; /* number of another word, 0 for none: at most limit_constant + that word, or - it where negative */
  int8_t limit_constant;
} ksr_word;

/* Number of elements of an input; of one sample for a state. SLOTS: four times the stride; SUMS: in integers one more.
 * VALUES, INDEX and ROWS are the parts of a matrix, in this order. STEPS: one per step, not constant. OUTPUT:
 * an output per sample, not constant. DIAGONAL: the stride for each gate that reads the state.
 * DEEP_SLOTS: SLOTS for each further micro-layer. MIDDLE: the columns of the factors, padded to whole blocks. */
enum {
  KSR_ANY = 0,
  KSR_INPUTS,
  KSR_UNITS,
  KSR_STRIDE,
  KSR_SLOTS_SIZE,
  KSR_SUMS_SIZE,
  KSR_VALUES_SIZE,
  KSR_INDEX_SIZE,
  KSR_ROWS_SIZE,
  KSR_STEPS_SIZE,
  KSR_OUTPUT_SIZE,
  KSR_DIAGONAL_SIZE,
  KSR_DEEP_SLOTS_SIZE,
  KSR_MIDDLE_SIZE
};

enum { KSR_MOST_WORDS = 48 }; /* of an op, with the version */

/* KSR_OF_UNITS: a matrix whose sources are the units. KSR_OF_DEEP: of further micro-layers, of which each reads the
 * units; given where there are some. KSR_OF_FACTORS: of kernels of low rank, of which the factor reads the inputs or
 * the units, and the kernel the columns of the factor; given where they have one. */
enum {
  KSR_OPTIONAL = 1,
  KSR_STATE = 2,
  KSR_SLOTS_BY_WORD = 4,
  KSR_OF_UNITS = 8,
  KSR_OF_DEEP = 16,
  KSR_OF_FACTORS = 32
};

typedef struct ksr_input {
  int8_t type[KSR_FORMATS]; /* a ksr_type in each number format; -1: absent */
  uint8_t size;
  uint8_t flags;
  uint8_t range;                /* number of that of its values in integer models; 0: any */
  uint8_t slots[5];             /* of a matrix, a bit for each: the first, or by the word `where` (KSR_SLOTS_BY_WORD) */
  uint8_t where, values;        /* given only where that word has a value whose bit is set; 0: always */
  uint8_t needs;                /* given only if that input is; 0: always */
  uint8_t together;             /* a state that is given if and only if this one is; 0: none */
} ksr_input;

typedef struct ksr_schema {
  const ksr_range *ranges;
  const ksr_word *words; /* behind the version */
  const ksr_input *inputs;
  uint8_t word_count, input_count;
  uint8_t bias;            /* number of that input */
  uint8_t weight_bits;     /* number of that word */
  uint8_t layout;          /* number of that word: how matrices are stored, see ksr_layout_of */
  uint8_t takes_sequences; /* x (B, T, I) and the output (B, T, U) or (B, U); else rows (.., I) and (.., U) */
  uint8_t gives_mask;      /* x (B, T, I) and the output bool (B, T) */
  uint8_t deep;            /* number of the word that counts further micro-layers; 0: there are none */
  uint8_t chunk_size;      /* number of the word for units of each entry of a master gate; 0: there are none */
  uint8_t rank;            /* number of the word of the rank, before that of the state's; 0: kernels of full rank */
} ksr_schema;

/* Accumulators of a slot where there are master gates, in chunks of so many units: behind those of the units half a
 * gate. */
static inline int32_t ksr_columns(int32_t units, int32_t chunk_size) {
  const int32_t chunks = (units + chunk_size - 1) / chunk_size;
  return units + (chunks + 1) / 2;
}

/* Checks a node: its options, the presence of inputs, their types and shapes, every pointer and index in a matrix, and
 * the values of constants. */
ksr_status ksr_check(const ksr_schema *schema, const ksr_node *node);

/* Bytes of one sample of the state that is input number `i` of a checked node; 0 if the op has no such state. */
uint32_t ksr_state_bytes(const ksr_schema *schema, const ksr_node *node, int32_t i);

/* The smallest and the largest value of a word, given all words from the version on. */
ksr_range ksr_range_of_word(const ksr_schema *schema, const int32_t *words, int32_t number);

#ifdef __cplusplus
}
#endif

#endif /* KSR_SCHEMA_H_ */
