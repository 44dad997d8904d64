#include "ksr_schema.h"

#include "ksr_node.h"
#include "matrix_check.h"

enum { VERSION = 3, LARGEST_SIZE = 65535 }; /* sources of events are uint16 */
enum { FORMAT = 1, UNITS, BLOCK, RETURN_SEQUENCES = 5 }; /* words of every op, of those with units, of recurrent ops */

/* Sizes from x and the options. If an op takes no sequences, its rows are the steps of one sample. */
typedef struct sizes {
  int32_t format, samples, steps, inputs, units, block, stride, deep, rank, recurrent_rank;
  int32_t state_gates; /* of the matrices that read the state */
} sizes;

ksr_range ksr_range_of_word(const ksr_schema *schema, const int32_t *words, int32_t number) {
  const ksr_word *word = &schema->words[number - 1];
  const int32_t format = words[FORMAT] >= 0 && words[FORMAT] < KSR_FORMATS ? words[FORMAT] : 0;
  ksr_range range = schema->ranges[word->range[format]];
  if (word->limit) {
    const int64_t other = word->limit < 0 ? -(int64_t)words[-word->limit] : words[word->limit];
    const int64_t limit = word->limit_constant + other;
    if (limit < range.high) range.high = limit < INT32_MIN ? INT32_MIN : (int32_t)limit;
  }
  return range;
}

static int word_fits(const ksr_schema *schema, const int32_t *words, int32_t number) {
  const ksr_range range = ksr_range_of_word(schema, words, number);
  const uint8_t form = schema->words[number - 1].form;
  int32_t value = words[number];
  if (value < range.low || value > range.high) return 0;
  if (form == KSR_POWER_OF_TWO) return (value & (value - 1)) == 0;
  if (form == KSR_0_OR_4) return (value & 3) == 0;
  if (form == KSR_WITHOUT_2) return (value & 2) == 0;
  if (form == KSR_15_BITS) {
    while (value > INT16_MAX && !(value & 1)) value >>= 1;
    return value <= INT16_MAX;
  }
  return 1;
}

static ksr_status read_words(const ksr_schema *schema, const ksr_node *node, int32_t *words) {
  const uint32_t size = 4u * (1u + schema->word_count);
  if (node->options_size < 4 || !node->options) return KSR_OPTIONS_SIZE;
  ksr_read_words(node, 0, 1, words);
  if (words[0] != VERSION) return KSR_OTHER_VERSION;
  if (node->options_size != size) return KSR_OPTIONS_SIZE;
  ksr_read_words(node, 1, schema->word_count, words + 1);
  for (int32_t i = 1; i <= schema->word_count; ++i) {
    if (!word_fits(schema, words, i)) return KSR_STATUS(KSR_WORD, i);
  }
  if ((!KSR_WITH_FLOAT32 && words[FORMAT] == KSR_FLOAT32_FORMAT) ||
      (!KSR_WITH_INT16 && words[FORMAT] == KSR_INT8X16_FORMAT)) {
    return KSR_NOT_BUILT;
  }
  return KSR_OK;
}

/* The number of elements of a tensor's first `rank` dimensions; 0 if one is below 1, or if int32 cannot hold it. */
static int32_t elements_of(const ksr_tensor *tensor, int32_t rank) {
  int32_t elements = 1;
  for (int32_t i = 0; i < rank; ++i) {
    if (tensor->dims[i] < 1 || tensor->dims[i] > INT32_MAX / elements) return 0;
    elements *= tensor->dims[i];
  }
  return elements;
}

static ksr_slots slots_of(const ksr_input *input, const int32_t *words) {
  ksr_slots slots = {0, -1};
  for (uint32_t bits = input->slots[input->flags & KSR_SLOTS_BY_WORD ? words[input->where] : 0]; bits; bits >>= 1) {
    slots.gates += (int32_t)(bits & 1u);
    ++slots.last;
  }
  return slots;
}

static int32_t padded(int32_t columns, int32_t block) { return (columns + block - 1) / block * block; }

static ksr_status read_sizes(const ksr_schema *schema, const ksr_node *node, const int32_t *words, sizes *sizes) {
  const ksr_tensor *x = &node->inputs[0], *y = &node->outputs[0];
  if (ksr_is_absent(node, 0)) return KSR_STATUS(KSR_MISSING, 0);
  if (x->type != schema->inputs[0].type[words[FORMAT]]) return KSR_STATUS(KSR_TYPE, 0);
  if (schema->takes_sequences ? x->rank != 3 : x->rank < 1) return KSR_STATUS(KSR_SHAPE, 0);
  const int32_t last = x->rank - 1, inputs = x->dims[last];
  if (!elements_of(x, x->rank) || inputs > LARGEST_SIZE) return KSR_STATUS(KSR_SHAPE, 0);
  sizes->format = words[FORMAT];
  sizes->samples = schema->takes_sequences ? x->dims[0] : 1;
  sizes->steps = elements_of(x, last) / sizes->samples;
  sizes->inputs = inputs;
  if (schema->gives_mask) {
    const int fits = y->type == KSR_BOOL && y->rank == 2 && y->dims[0] == sizes->samples && y->dims[1] == sizes->steps;
    sizes->units = sizes->stride = sizes->state_gates = sizes->deep = sizes->rank = sizes->recurrent_rank = 0;
    sizes->block = 1;
    return fits ? KSR_OK : KSR_OUTPUT;
  }
  sizes->units = words[UNITS];
  sizes->deep = schema->deep ? words[schema->deep] : 0;
  sizes->rank = schema->rank ? words[schema->rank] : 0;
  sizes->recurrent_rank = schema->rank ? words[schema->rank + 1] : 0;
  sizes->block = words[BLOCK];
  const int32_t columns = schema->chunk_size ? ksr_columns(sizes->units, words[schema->chunk_size]) : sizes->units;
  sizes->stride = padded(columns, sizes->block);
  sizes->state_gates = 0;
  for (int32_t i = 0; i < schema->input_count; ++i) {
    const ksr_input *input = &schema->inputs[i];
    const int reads_state = input->size == KSR_VALUES_SIZE && input->flags & KSR_OF_UNITS && !ksr_is_absent(node, i);
    if (reads_state) sizes->state_gates += slots_of(input, words).gates;
  }

  const int32_t one_a_sample = schema->takes_sequences && !words[RETURN_SEQUENCES];
  const int32_t rows = one_a_sample ? sizes->samples : sizes->samples * sizes->steps;
  if (y->type != x->type || y->rank < 1 || y->dims[y->rank - 1] != sizes->units || rows > INT32_MAX / sizes->units ||
      elements_of(y, y->rank) != rows * sizes->units) {
    return KSR_OUTPUT;
  }
  if (schema->takes_sequences && (y->rank != 3 - one_a_sample || y->dims[0] != sizes->samples)) return KSR_OUTPUT;
  return KSR_OK;
}

/* The number of elements that an input must have; -1 for a part of a matrix. */
static int32_t size_of(const ksr_input *input, const sizes *sizes) {
  const int32_t is_integer = sizes->format != KSR_FLOAT32_FORMAT;
  const int32_t counts[] = {-1, sizes->inputs, sizes->units, sizes->stride, 4 * sizes->stride,
                            4 * sizes->stride + is_integer, -1, -1, -1, sizes->steps, sizes->units,
                            sizes->state_gates * sizes->stride,
                            4 * sizes->stride * sizes->deep,
                            padded(sizes->rank, sizes->block) + padded(sizes->recurrent_rank, sizes->block)};
  return counts[input->size];
}

/* Where inputs and state share a middle, no matrix reads the state. */
static int is_in_one_middle(const ksr_schema *schema, const ksr_input *input, const int32_t *words) {
  return schema->rank && words[schema->rank] && !words[schema->rank + 1] &&
         (input->flags & (KSR_OF_UNITS | KSR_OF_FACTORS)) == KSR_OF_UNITS;
}

static int may_be_given(const ksr_schema *schema, const ksr_input *input, const ksr_node *node,
                        const int32_t *words) {
  return (!(input->flags & KSR_OF_DEEP) || words[schema->deep]) &&
         (!(input->flags & KSR_OF_FACTORS) || words[schema->rank]) && !is_in_one_middle(schema, input, words) &&
         input->type[words[FORMAT]] >= 0 &&
         (!input->where || input->flags & KSR_SLOTS_BY_WORD || input->values >> words[input->where] & 1) &&
         (!input->needs || !ksr_is_absent(node, input->needs));
}

static ksr_status check_presence(const ksr_schema *schema, const ksr_node *node, const int32_t *words, int32_t i) {
  const ksr_input *input = &schema->inputs[i];
  const int is_given = !ksr_is_absent(node, i), is_allowed = may_be_given(schema, input, node, words);
  int other = is_given; /* whether the input that must be given with it is given */
  if (is_given && !is_allowed) return KSR_STATUS(KSR_UNEXPECTED, i);
  if (!is_given && is_allowed && !(input->flags & KSR_OPTIONAL)) return KSR_STATUS(KSR_MISSING, i);
  if (is_allowed && input->together) other = !ksr_is_absent(node, input->together);
  if (is_given && input->size == KSR_INDEX_SIZE) other = !ksr_is_absent(node, i + 1);
  if (is_given && input->size == KSR_ROWS_SIZE) other = !ksr_is_absent(node, i - 1);
  return other == is_given ? KSR_OK : KSR_STATUS(is_given ? KSR_UNEXPECTED : KSR_MISSING, i);
}

static int32_t value_of(const ksr_tensor *tensor, int32_t i) {
  switch (tensor->type) {
    case KSR_UINT8: return ((const uint8_t *)tensor->data)[i];
    case KSR_INT16: return ((const int16_t *)tensor->data)[i];
    default: return ((const int32_t *)tensor->data)[i];
  }
}

static int values_are_within(const ksr_tensor *tensor, ksr_range range) {
  for (int32_t i = 0; i < tensor->dims[0]; ++i) {
    const int32_t value = value_of(tensor, i);
    if (value < range.low || value > range.high) return 0;
  }
  return 1;
}

static int32_t sources_of(const ksr_input *input, const sizes *sizes) {
  if (input->flags & KSR_OF_DEEP) return sizes->units * sizes->deep;
  if (sizes->rank && !(input->flags & KSR_OF_FACTORS)) {
    return input->flags & KSR_OF_UNITS ? sizes->recurrent_rank : sizes->rank;
  }
  return input->flags & KSR_OF_UNITS ? sizes->units : sizes->inputs;
}

/* Columns of a gate of a matrix, padded. */
static int32_t stride_of(const ksr_input *input, const sizes *sizes) {
  if (!(input->flags & KSR_OF_FACTORS)) return sizes->stride;
  const int32_t is_apart = input->flags & KSR_OF_UNITS && sizes->recurrent_rank;
  return padded(is_apart ? sizes->recurrent_rank : sizes->rank, sizes->block);
}

static ksr_matrix matrix_of(const ksr_schema *schema, const ksr_node *node, const int32_t *words, const sizes *sizes,
                            int32_t i) {
  const ksr_input *input = &schema->inputs[i];
  const ksr_slots slots = slots_of(input, words);
  const ksr_layout by_sources = {0, 1};
  const ksr_layout layout = input->flags & KSR_OF_DEEP
                                ? by_sources
                                : ksr_layout_of(words[schema->layout], input->flags & KSR_OF_UNITS);
  return ksr_matrix_of(node, i, sources_of(input, sizes), sizes->block, stride_of(input, sizes), slots, layout,
                       words[schema->weight_bits]);
}

/* Checks a matrix in blocks whose values are input number `i`. */
static ksr_status check_matrix(const ksr_schema *schema, const ksr_node *node, const int32_t *words,
                               const sizes *sizes, int32_t i) {
  const ksr_matrix matrix = matrix_of(schema, node, words, sizes, i);
  const ksr_tensor *tensors = &node->inputs[i];
  if (tensors[2].dims[0] != ksr_rows_of(&matrix) + 1) return KSR_STATUS(KSR_SHAPE, i + 2);
  const int32_t weights = matrix.height > 1 ? matrix.height : sizes->block;
  const int32_t block_values = matrix.weight_bits ? weights / 2 : weights;
  if (tensors[0].dims[0] % block_values != 0 || tensors[0].dims[0] / block_values != tensors[1].dims[0]) {
    return KSR_STATUS(KSR_SHAPE, i);
  }
  const int32_t part = ksr_matrix_check(&matrix, tensors[1].dims[0]);
  return part ? KSR_STATUS(KSR_VALUES, i + part) : KSR_OK;
}

/* Whether this build has kernels for the storage format of a matrix. */
static int is_built(const ksr_matrix *matrix) {
  if (!(matrix->weight_bits ? KSR_WITH_WEIGHTS_4 : KSR_WITH_WEIGHTS_8)) return 0;
  if (!matrix->index) return matrix->by_outputs ? KSR_WITH_BY_OUTPUTS : KSR_WITH_BY_SOURCES;
  if (matrix->height > 1) return KSR_WITH_HIGH_BLOCKS;
  return matrix->block == 4 ? KSR_WITH_BLOCKS_4 : matrix->block == 8 ? KSR_WITH_BLOCKS_8 : KSR_WITH_BLOCKS_16;
}

static ksr_status check_input(const ksr_schema *schema, const ksr_node *node, const int32_t *words,
                              const sizes *sizes, int32_t i) {
  const ksr_input *input = &schema->inputs[i];
  const ksr_tensor *tensor = &node->inputs[i];
  const int32_t size = size_of(input, sizes);
  if (tensor->type != input->type[sizes->format] && !(input->size == KSR_ROWS_SIZE && tensor->type == KSR_UINT32)) {
    return KSR_STATUS(KSR_TYPE, i);
  }
  if (input->flags & KSR_STATE || input->size == KSR_STEPS_SIZE || input->size == KSR_OUTPUT_SIZE) {
    const int fits = tensor->rank == 2 && tensor->dims[0] == sizes->samples && tensor->dims[1] == size;
    if (!fits) return KSR_STATUS(KSR_SHAPE, i);
    return tensor->data ? KSR_STATUS(KSR_CONSTANT, i) : KSR_OK;
  }
  if (!tensor->data) return KSR_STATUS(KSR_NOT_CONSTANT, i);
  if (tensor->rank != 1 || (size >= 0 && tensor->dims[0] != size)) return KSR_STATUS(KSR_SHAPE, i);
  /* Weights and scales are loaded word by word. */
  if ((uintptr_t)tensor->data % 4 != 0) return KSR_STATUS(KSR_ALIGNMENT, i);
  if (input->size == KSR_ROWS_SIZE) return check_matrix(schema, node, words, sizes, i - 2);
  if (input->size == KSR_VALUES_SIZE) {
    const ksr_matrix matrix = matrix_of(schema, node, words, sizes, i);
    const int32_t row = matrix.slots.gates * (matrix.weight_bits ? matrix.stride / 2 : matrix.stride);
    const int32_t sources = matrix.by_outputs ? ksr_padded_sources(matrix.sources) : matrix.sources;
    const int is_dense = ksr_is_absent(node, i + 1) && ksr_is_absent(node, i + 2);
    if (is_dense && (tensor->dims[0] % row != 0 || tensor->dims[0] / row != sources)) return KSR_STATUS(KSR_SHAPE, i);
    if (sizes->format != KSR_FLOAT32_FORMAT && !is_built(&matrix)) return KSR_NOT_BUILT;
  }
  if (input->range && sizes->format != KSR_FLOAT32_FORMAT && !values_are_within(tensor, schema->ranges[input->range])) {
    return KSR_STATUS(KSR_VALUES, i);
  }
  return KSR_OK;
}

/* Checks the outputs for the states after the last step: one per state, in the order of the inputs, or none. */
static ksr_status check_states(const ksr_schema *schema, const ksr_node *node, const int32_t *words,
                               const sizes *sizes) {
  int32_t count = 1, fit = 1;
  for (int32_t i = 0; i < schema->input_count; ++i) {
    const ksr_input *input = &schema->inputs[i];
    if (!(input->flags & KSR_STATE) || !may_be_given(schema, input, node, words)) continue;
    if (count < node->output_count) {
      const ksr_tensor *state = &node->outputs[count];
      fit = fit && state->type == input->type[sizes->format] && state->rank == 2 &&
            state->dims[0] == sizes->samples && state->dims[1] == size_of(input, sizes);
    }
    ++count;
  }
  if (node->output_count != 1 && node->output_count != count) return KSR_OUTPUT_COUNT;
  return fit ? KSR_OK : KSR_OUTPUT;
}

uint32_t ksr_state_bytes(const ksr_schema *schema, const ksr_node *node, int32_t i) {
  const ksr_input *input = &schema->inputs[i];
  int32_t words[KSR_MOST_WORDS];
  sizes sizes;
  read_words(schema, node, words);
  read_sizes(schema, node, words, &sizes);
  if (!may_be_given(schema, input, node, words)) return 0;
  return (uint32_t)size_of(input, &sizes) * (uint32_t)ksr_size_of(input->type[sizes.format]);
}

ksr_status ksr_check(const ksr_schema *schema, const ksr_node *node) {
  int32_t words[KSR_MOST_WORDS];
  sizes sizes;
  ksr_status status = read_words(schema, node, words);
  if (status != KSR_OK) return status;
  if (node->input_count > schema->input_count) return KSR_INPUT_COUNT;
  if (node->output_count < 1 || node->output_count > KSR_MAX_OUTPUTS) return KSR_OUTPUT_COUNT;
  status = read_sizes(schema, node, words, &sizes);
  for (int32_t i = 1; status == KSR_OK && i < schema->input_count; ++i) {
    status = check_presence(schema, node, words, i);
    if (status == KSR_OK && !ksr_is_absent(node, i)) status = check_input(schema, node, words, &sizes, i);
  }
  return status == KSR_OK ? check_states(schema, node, words, &sizes) : status;
}
