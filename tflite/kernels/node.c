#include "ksr_node.h"

const void *ksr_data_of(const ksr_node *node, int32_t i) { return ksr_is_absent(node, i) ? 0 : node->inputs[i].data; }

void ksr_read_words(const ksr_node *node, int32_t first, int32_t count, int32_t *words) {
  const uint8_t *bytes = node->options + 4 * first;
  for (int32_t i = 0; i < count; ++i, bytes += 4) {
    words[i] = (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                         (uint32_t)bytes[3] << 24);
  }
}

ksr_matrix ksr_matrix_of(const ksr_node *node, int32_t i, int32_t sources, int32_t block, int32_t stride,
                         ksr_slots slots, ksr_layout layout, int32_t weight_bits) {
  const void *rows = ksr_data_of(node, i + 2);
  const int is_wide = rows && node->inputs[i + 2].type == KSR_UINT32;
  const ksr_matrix matrix = {.values = node->inputs[i].data,
                             .index = ksr_data_of(node, i + 1),
                             .rows16 = is_wide ? 0 : rows,
                             .rows32 = is_wide ? rows : 0,
                             .sources = sources,
                             .block = block,
                             .stride = stride,
                             .slots = slots,
                             .by_outputs = layout.by_outputs && !ksr_data_of(node, i + 1),
                             .height = ksr_data_of(node, i + 1) ? layout.height : 1,
                             .weight_bits = weight_bits};
  return matrix;
}
