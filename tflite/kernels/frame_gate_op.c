#include <string.h>

#include "ksr_frame_gate.h"
#include "ksr_frame_gate_layer.h"
#include "ksr_frame_gate_schema.h"

typedef void run_function(const ksr_frame_gate_layer *gate, const void *x, const uint8_t *mask, void *last,
                          uint8_t *made);

enum { WORDS = sizeof(ksr_frame_gate_options) / sizeof(int32_t) };

typedef struct gate_data {
  ksr_frame_gate_layer layer;
  run_function *run;
  uint32_t last_bytes; /* of a sample */
  int32_t zero;        /* each byte of a cleared state */
} gate_data;

static ksr_status prepare(const ksr_node *node, void *data, uint32_t *scratch_size) {
  gate_data *gate = data;
  const ksr_tensor *x = &node->inputs[KSR_FRAME_GATE_X];
  union {
    ksr_frame_gate_options options;
    int32_t words[WORDS];
  } read;
  const ksr_status status = ksr_check(&ksr_frame_gate_schema, node);
  if (status != KSR_OK) return status;
  ksr_read_words(node, 0, WORDS, read.words);
  gate->layer.steps = x->dims[1];
  gate->layer.inputs = x->dims[2];
  gate->layer.count = read.options.count;
  gate->layer.threshold = ksr_data_of(node, KSR_FRAME_GATE_THRESHOLD);
  gate->run = ksr_frame_gate_run_i8;
#if KSR_WITH_INT16
  if (read.options.format == KSR_INT8X16_FORMAT) gate->run = ksr_frame_gate_run_i16;
#endif
#if KSR_WITH_FLOAT32
  if (read.options.format == KSR_FLOAT32_FORMAT) gate->run = ksr_frame_gate_run_f32;
#endif
  gate->last_bytes = (uint32_t)gate->layer.inputs * (uint32_t)ksr_size_of(x->type);
  gate->zero = read.options.x_zero_point;
  *scratch_size = gate->last_bytes;
  return KSR_OK;
}

static void invoke(const ksr_node *node, void *data, void *scratch) {
  const gate_data *gate = data;
  const uint8_t *x = node->inputs[KSR_FRAME_GATE_X].data, *mask = ksr_data_of(node, KSR_FRAME_GATE_MASK);
  uint8_t *made = node->outputs[0].data;
  const size_t steps = (size_t)gate->layer.steps;
  for (int32_t sample = 0; sample < node->inputs[KSR_FRAME_GATE_X].dims[0]; ++sample) {
    const size_t place = (size_t)sample * gate->last_bytes;
    const int is_kept = !ksr_is_absent(node, KSR_FRAME_GATE_LAST);
    void *last = is_kept ? (uint8_t *)node->inputs[KSR_FRAME_GATE_LAST].data + place : scratch;
    if (!is_kept) memset(last, gate->zero, gate->last_bytes);
    gate->run(&gate->layer, x, mask, last, made);
    if (node->output_count > 1 && node->outputs[1].data) {
      memcpy((uint8_t *)node->outputs[1].data + place, last, gate->last_bytes);
    }
    x += steps * gate->last_bytes;
    made += steps;
    if (mask) mask += steps;
  }
}

const ksr_op ksr_frame_gate = {"KsrFrameGate", sizeof(gate_data), &ksr_frame_gate_schema, prepare, invoke};
