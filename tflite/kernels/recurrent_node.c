#include "recurrent_node.h"

#include <string.h>

#include "ksr_masked.h"

enum { WORDS = sizeof(ksr_recurrent_options) / sizeof(int32_t) };

ksr_multiplier ksr_multiplier_of(int32_t value) {
#ifdef KSR_SHORT_PRODUCT
  ksr_multiplier m = {value, 16};
  for (; m.factor > INT16_MAX; m.factor >>= 1) --m.shift;
  return m;
#else
  return value;
#endif
}

static ksr_gates gates_of(const ksr_recurrent_options *o) {
  const ksr_gates gates = {{ksr_multiplier_of(o->multiplier_0), ksr_multiplier_of(o->multiplier_1),
                            ksr_multiplier_of(o->multiplier_2), ksr_multiplier_of(o->multiplier_3)},
                           o->fraction - 7,
                           {o->operand_multiplier, o->operand_shift},
                           {o->output_multiplier, o->output_shift},
                           o->output_zero_point,
                           {0, 0, 0, 0, 0, 0}};
  return gates;
}

void ksr_recurrent_set_up(ksr_recurrent *layer, ksr_gates *gates, const ksr_node *node, int32_t *own,
                          int32_t own_count, int32_t shared) {
  union {
    ksr_recurrent_options options;
    int32_t words[WORDS];
  } read;
  const ksr_recurrent_options *o = &read.options;
  ksr_read_words(node, 0, WORDS, read.words);
  ksr_read_words(node, WORDS, own_count, own);
  layer->is_int16 = o->format == KSR_INT8X16_FORMAT;
  layer->is_integer = o->format != KSR_FLOAT32_FORMAT;
  layer->steps = node->inputs[KSR_X].dims[1];
  layer->inputs = node->inputs[KSR_X].dims[2];
  layer->units = o->units;
  layer->stride = (o->units + o->block - 1) / o->block * o->block;
  layer->x_zero_point = o->x_zero_point;
  layer->x_shift = o->x_shift;
  layer->h_shift = o->h_shift;
  layer->operand_bits = o->operand_bits;
  layer->go_backwards = o->go_backwards;
  layer->return_sequences = o->return_sequences;
  layer->kernel.block = o->block;
  layer->recurrent_kernel = (ksr_matrix){.diagonal = ksr_data_of(node, shared + KSR_RECURRENT_KERNEL_DIAGONAL)};
  layer->bias = ksr_data_of(node, KSR_BIAS);
  layer->output_scales = ksr_data_of(node, shared + KSR_OUTPUT_SCALES);
  layer->input_threshold = ksr_data_of(node, shared + KSR_INPUT_THRESHOLD);
  layer->hidden_threshold = ksr_data_of(node, shared + KSR_HIDDEN_THRESHOLD);
  memset(gates, 0, sizeof(*gates));
  if (layer->is_integer) *gates = gates_of(o);
}

static int32_t word_of(const ksr_node *node, size_t offset) {
  int32_t word;
  ksr_read_words(node, (int32_t)(offset / sizeof(int32_t)), 1, &word);
  return word;
}

#define WORD_OF(node, name) word_of(node, offsetof(ksr_recurrent_options, name))

int32_t ksr_has_usual_gates(const ksr_node *node, int32_t has_gates) {
  const int32_t gates = has_gates ? WORD_OF(node, recurrent_activation) : KSR_ACTIVATION_SIGMOID;
  return WORD_OF(node, activation) == KSR_ACTIVATION_TANH && gates == KSR_ACTIVATION_SIGMOID &&
         !WORD_OF(node, state_bits) && !WORD_OF(node, gate_bits);
}

#if KSR_WITH_OTHER_GATES
int32_t ksr_has_hard_gates(const ksr_node *node) {
  return WORD_OF(node, activation) == KSR_ACTIVATION_HARD_TANH &&
         WORD_OF(node, recurrent_activation) == KSR_ACTIVATION_HARD_SIGMOID && !WORD_OF(node, state_bits) &&
         !WORD_OF(node, gate_bits);
}

int32_t ksr_has_usual_functions(const ksr_node *node) {
  return WORD_OF(node, activation) == KSR_ACTIVATION_TANH &&
         WORD_OF(node, recurrent_activation) == KSR_ACTIVATION_SIGMOID && !WORD_OF(node, gate_bits);
}

ksr_status ksr_set_activations(ksr_gates *gates, const ksr_node *node, int32_t has_gates) {
  const int32_t is_float = WORD_OF(node, format) == KSR_FLOAT32_FORMAT;
  ksr_activations *a = &gates->activations;
  a->state_bits = WORD_OF(node, state_bits);
  a->gate_bits = WORD_OF(node, gate_bits);
  a->activation = ksr_activation_of(WORD_OF(node, activation), is_float);
  a->recurrent_activation = has_gates ? ksr_activation_of(WORD_OF(node, recurrent_activation), is_float) : 0;
  return a->activation && (a->recurrent_activation || !has_gates) ? KSR_OK : KSR_NOT_BUILT;
}
#endif

ksr_matrix ksr_recurrent_matrix(const ksr_recurrent *layer, const ksr_node *node, int32_t i, ksr_slots slots) {
  const int32_t sources = i == KSR_KERNEL ? layer->inputs : layer->units;
  const ksr_layout layout = ksr_layout_of(WORD_OF(node, layout), i != KSR_KERNEL);
  ksr_matrix matrix = ksr_matrix_of(node, i, sources, layer->kernel.block, layer->stride, slots, layout,
                                    WORD_OF(node, weight_bits));
  const uint8_t *diagonal = layer->recurrent_kernel.diagonal;
  if (i == KSR_RECURRENT_KERNEL) {
    matrix.diagonal = diagonal;
  } else if (i != KSR_KERNEL && diagonal) { /* the last gates of all that read the state */
    const size_t weight_size = layer->is_integer ? sizeof(int8_t) : sizeof(float);
    matrix.diagonal = diagonal + (size_t)(layer->recurrent_kernel.slots.gates * layer->stride) * weight_size;
  }
  return matrix;
}

ksr_matrix ksr_recurrent_factor(const ksr_recurrent *layer, const ksr_node *node, int32_t i, int32_t of_state,
                                int32_t columns) {
  const int32_t block = layer->kernel.block, stride = (columns + block - 1) / block * block;
  const ksr_slots one = {1, 0};
  return ksr_matrix_of(node, i, of_state ? layer->units : layer->inputs, block, stride, one,
                       ksr_layout_of(WORD_OF(node, layout), of_state), WORD_OF(node, weight_bits));
}

/* A tensor's part that belongs to one sample of the batch, its first dimension. */
static void *of_sample(const ksr_tensor *tensor, int32_t sample) {
  if (!sample || !tensor->data) return tensor->data;
  size_t bytes = (size_t)ksr_size_of(tensor->type);
  for (int32_t d = 1; d < tensor->rank; ++d) bytes *= (size_t)tensor->dims[d];
  return (uint8_t *)tensor->data + (size_t)sample * bytes;
}

/* Whether the states need memory even where they have no tensors: they are copied, outlast a run of the layer, or
 * belong to what is held. */
static int keeps_states(const ksr_recurrent_calls *calls, const ksr_recurrent_kind *kind, const ksr_node *node) {
  return calls->initial_states || node->output_count > 1 || !ksr_is_absent(node, kind->shared + KSR_MASK) ||
         !ksr_is_absent(node, kind->shared + KSR_INPUT_THRESHOLD);
}

uint32_t ksr_recurrent_set_calls(ksr_recurrent_calls *calls, const ksr_recurrent_kind *kind, const ksr_node *node,
                                 uint32_t scratch) {
  union {
    ksr_recurrent_options options;
    int32_t words[WORDS];
  } read;
  int32_t state = 0;
  ksr_read_words(node, 0, WORDS, read.words);
  calls->scratch = ksr_aligned(scratch);
  calls->initial_states = read.options.initial_states;
  calls->zero_output_for_mask = read.options.zero_output_for_mask;
  calls->output_zero_point = read.options.output_zero_point;
  scratch = calls->scratch;
  for (int32_t i = 0; i < kind->schema->input_count; ++i) {
    if (!(kind->schema->inputs[i].flags & KSR_STATE)) continue;
    calls->state_bytes[state] = ksr_state_bytes(kind->schema, node, i);
    if (calls->initial_states || ksr_is_absent(node, i)) scratch += ksr_aligned(calls->state_bytes[state]);
    ++state;
  }
  return keeps_states(calls, kind, node) ? scratch : calls->scratch;
}

/* Where the states of a sample lie: in their tensors, or behind the layer's own scratch memory. Where neither is
 * needed, the layer's functions put them into that. */
static void begin_states(const ksr_recurrent_kind *kind, const ksr_recurrent_calls *calls, const ksr_node *node,
                         int32_t sample, ksr_recurrent *layer, uint8_t *scratch) {
  const int has_memory = keeps_states(calls, kind, node);
  int32_t state = 0;
  scratch += calls->scratch;
  for (int32_t i = 0; i < kind->schema->input_count; ++i) {
    if (!(kind->schema->inputs[i].flags & KSR_STATE)) continue;
    const ksr_state_place place = kind->states[state];
    const uint32_t bytes = calls->state_bytes[state++];
    void *given = ksr_is_absent(node, i) ? 0 : of_sample(&node->inputs[i], sample);
    void *lies = given;
    if (has_memory && bytes && (!given || calls->initial_states)) {
      const int is_int8 = layer->is_integer && !layer->is_int16;
      const int lowest = place.zero == KSR_FROM_LOWEST ? INT8_MIN : 0;
      const int zero = place.zero == KSR_FROM_X_ZERO_POINT ? layer->x_zero_point : lowest;
      lies = given ? memcpy(scratch, given, bytes) : memset(scratch, is_int8 ? zero : 0, bytes);
      scratch += ksr_aligned(bytes);
    }
    memcpy((uint8_t *)layer + place.offset, &lies, sizeof(lies));
  }
}

/* The states after the last step, to those outputs that have memory: a tensor that nothing reads may have none. */
static void write_states(const ksr_recurrent_kind *kind, const ksr_recurrent_calls *calls, const ksr_node *node,
                         int32_t sample, const ksr_recurrent *layer) {
  for (int32_t state = 0, output = 1; output < node->output_count; ++state) {
    const void *lies;
    if (!calls->state_bytes[state]) continue;
    memcpy(&lies, (const uint8_t *)layer + kind->states[state].offset, sizeof(lies));
    void *last = of_sample(&node->outputs[output++], sample);
    if (last) memcpy(last, lies, calls->state_bytes[state]);
  }
}

void ksr_recurrent_invoke(const ksr_recurrent_kind *kind, const ksr_recurrent_calls *calls, const ksr_node *node,
                          void *layer, void *scratch) {
  ksr_recurrent *r = layer;
  const int32_t mask = kind->shared + KSR_MASK, last = kind->shared + KSR_LAST_OUTPUT;
  for (int32_t sample = 0; sample < node->inputs[KSR_X].dims[0]; ++sample) {
    r->x = of_sample(&node->inputs[KSR_X], sample);
    r->output = of_sample(&node->outputs[0], sample);
    begin_states(kind, calls, node, sample, r, scratch);
    if (ksr_is_absent(node, mask)) {
      kind->run(layer, scratch);
    } else {
      void *last_output = ksr_is_absent(node, last) ? 0 : of_sample(&node->inputs[last], sample);
      ksr_run_masked(layer, kind->run, of_sample(&node->inputs[mask], sample), last_output,
                     calls->zero_output_for_mask, calls->output_zero_point, scratch);
    }
    write_states(kind, calls, node, sample, r);
  }
}
