#include "recurrent_node.h"

#include <stddef.h>
#include <string.h>

enum { WORDS = sizeof(ksr_recurrent_options) / sizeof(int32_t) };

static ksr_multiplier multiplier_of(int32_t value) {
#ifdef KSR_SHORT_PRODUCT
  ksr_multiplier m = {value, 16};
  for (; m.factor > INT16_MAX; m.factor >>= 1) --m.shift;
  return m;
#else
  return value;
#endif
}

static ksr_gates gates_of(const ksr_recurrent_options *o) {
  const ksr_gates gates = {{multiplier_of(o->multiplier_0), multiplier_of(o->multiplier_1),
                            multiplier_of(o->multiplier_2), multiplier_of(o->multiplier_3)},
                           o->fraction - 7,
                           {o->operand_multiplier, o->operand_shift},
                           {o->output_multiplier, o->output_shift},
                           o->output_zero_point};
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
  layer->is_int8 = o->format != KSR_FLOAT32_FORMAT;
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
  layer->bias = ksr_data_of(node, KSR_BIAS);
  layer->output_scales = ksr_data_of(node, shared + KSR_OUTPUT_SCALES);
  layer->input_threshold = ksr_data_of(node, shared + KSR_INPUT_THRESHOLD);
  if (layer->is_int8) *gates = gates_of(o);
}

ksr_matrix ksr_recurrent_matrix(const ksr_recurrent *layer, const ksr_node *node, int32_t i, ksr_slots slots) {
  const int32_t sources = i == KSR_KERNEL ? layer->inputs : layer->units;
  return ksr_matrix_of(node, i, sources, layer->kernel.block, layer->stride, slots);
}

/* A tensor's part that belongs to one sample of the batch, its first dimension. */
static void *of_sample(const ksr_tensor *tensor, int32_t sample) {
  if (!sample || !tensor->data) return tensor->data;
  size_t bytes = (size_t)ksr_size_of(tensor->type);
  for (int32_t d = 1; d < tensor->rank; ++d) bytes *= (size_t)tensor->dims[d];
  return (uint8_t *)tensor->data + (size_t)sample * bytes;
}

void *ksr_state_of(const ksr_node *node, int32_t sample, int32_t i) {
  return i < node->input_count ? of_sample(&node->inputs[i], sample) : 0;
}

void ksr_recurrent_begin(ksr_recurrent *layer, const ksr_node *node, int32_t sample, int32_t shared, void *scratch) {
  layer->x = of_sample(&node->inputs[KSR_X], sample);
  layer->output = of_sample(&node->outputs[0], sample);
  if (!layer->input_threshold) return;
  const uint32_t sums_size = (uint32_t)ksr_sums_of(layer) * (uint32_t)sizeof(int32_t);
  uint8_t *sums = (uint8_t *)scratch + ksr_accumulators_size(layer), *held_x = sums + sums_size;
  layer->held_x = ksr_state_of(node, sample, shared + KSR_HELD_X);
  layer->sums = ksr_state_of(node, sample, shared + KSR_SUMS);
  if (!layer->sums) layer->sums = memset(sums, 0, sums_size);
  if (!layer->held_x) {
    const int zero = layer->is_int8 ? layer->x_zero_point : 0;
    layer->held_x = memset(held_x, zero, ksr_bytes_of(layer, (size_t)layer->inputs));
  }
}
