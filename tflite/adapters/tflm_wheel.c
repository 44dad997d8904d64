/* The ops of this library in the TensorFlow Lite Micro interpreter of the Python package tflite_micro.
 *
 * Interpreter(..., custom_op_registerers=["KsrRegisterOps"]) finds the function below by its name, once this library
 * is loaded with global symbols. The package ships no headers, so the part of the C interface that an op uses is
 * declared here. The layout of the context differs between releases. So it is never read, but passed to the
 * package's own functions, whose addresses the Python side sets first (keras_sparse_rnn/runtime/tflm.py). */
#include <stddef.h>
#include <stdio.h>

#include "interpreter_node.h"
#include "ksr_ops.h"

typedef struct tflm_context tflm_context;

typedef struct tflm_tensor {
  void *data;
  int_array *dims;
  int32_t type;
} tflm_tensor;

typedef struct tflm_node {
  int_array *inputs;
  int_array *outputs;
  int_array *intermediates;
  void *user_data;
  void *builtin_data;
  const void *custom_options;
  int32_t custom_options_size;
} tflm_node;

typedef struct tflm_registration {
  void *(*init)(tflm_context *, const char *buffer, size_t length);
  void (*free)(tflm_context *, void *user_data);
  status (*prepare)(tflm_context *, tflm_node *);
  status (*invoke)(tflm_context *, tflm_node *);
  void (*reset)(tflm_context *, void *user_data);
  int32_t builtin_code;
  const char *custom_name;
} tflm_registration;

enum { CUSTOM = 32, RESOLVER_CAPACITY = 200 };

typedef struct tflm_resolver {
  const void *virtual_table;
  tflm_registration registrations[RESOLVER_CAPACITY];
  uint32_t count;
  /* further members are not used here */
} tflm_resolver;

typedef struct tflm_functions {
  void *(*allocate_persistent_buffer)(tflm_context *, size_t bytes);
  status (*request_scratch_buffer)(tflm_context *, size_t bytes, int32_t *number);
  void *(*get_scratch_buffer)(tflm_context *, int32_t number);
  tflm_tensor *(*get_tensor)(const tflm_context *, int32_t number);
} tflm_functions;

static tflm_functions tflm; /* one package per process, so one set of functions */

/* One op of the model, in the arena. */
typedef struct op_data {
  const ksr_op *op;
  void *data;
  int32_t scratch;
} op_data;

static int view_tensors(const tflm_context *context, const int_array *numbers, ksr_tensor *views) {
  for (int32_t i = 0; i < numbers->size; ++i) {
    if (numbers->data[i] == TENSOR_ABSENT) {
      view_absent_tensor(&views[i]);
      continue;
    }
    const tflm_tensor *tensor = tflm.get_tensor(context, numbers->data[i]);
    if (!tensor || !view_tensor(&views[i], tensor->type, tensor->dims, tensor->data)) return 0;
  }
  return 1;
}

static int view_node(const tflm_context *context, const tflm_node *node, node_view *view) {
  if (node->inputs->size > KSR_MAX_INPUTS || node->outputs->size > KSR_MAX_OUTPUTS) return 0;
  view->node.options = node->custom_options;
  view->node.options_size = node->custom_options ? (uint32_t)node->custom_options_size : 0;
  view->node.input_count = node->inputs->size;
  view->node.output_count = node->outputs->size;
  view->node.inputs = view->inputs;
  view->node.outputs = view->outputs;
  return view_tensors(context, node->inputs, view->inputs) && view_tensors(context, node->outputs, view->outputs);
}

static status prepare(tflm_context *context, tflm_node *node) {
  op_data *data = node->user_data;
  node_view view;
  uint32_t scratch_size = 0;
  if (!data) return STATUS_ERROR;
  if (!view_node(context, node, &view)) {
    fprintf(stderr, "%s: at most %d inputs, %d outputs and %d dimensions are allowed.\n", data->op->name,
            KSR_MAX_INPUTS, KSR_MAX_OUTPUTS, KSR_MAX_RANK);
    return STATUS_ERROR;
  }
  const ksr_status prepared = data->op->prepare(&view.node, data->data, &scratch_size);
  if (prepared != KSR_OK) {
    char text[256];
    explain(data->op, &view.node, prepared, text, sizeof(text));
    fprintf(stderr, "%s refused: %s.\n", data->op->name, text);
    return STATUS_ERROR;
  }
  return tflm.request_scratch_buffer(context, scratch_size, &data->scratch);
}

static status invoke(tflm_context *context, tflm_node *node) {
  const op_data *data = node->user_data;
  node_view view;
  if (!view_node(context, node, &view) || !tensors_are_placed(&view)) return STATUS_ERROR;
  data->op->invoke(&view.node, data->data, tflm.get_scratch_buffer(context, data->scratch));
  return STATUS_OK;
}

static void *init(tflm_context *context, const ksr_op *op) {
  op_data *data = tflm.allocate_persistent_buffer(context, sizeof(*data));
  if (!data) return 0;
  data->op = op;
  data->data = tflm.allocate_persistent_buffer(context, op->data_size);
  return data->data ? data : 0;
}

/* An op's functions are not told for which op they are called, so each op has its own init. */
#define INIT(op)                                                                       \
  static void *init_##op(tflm_context *context, const char *options, size_t size) {    \
    (void)options, (void)size;                                                         \
    return init(context, &op);                                                         \
  }
KSR_OPS(INIT)
#undef INIT

#define ENTRY(op) {&op, init_##op},
static const struct {
  const ksr_op *op;
  void *(*init)(tflm_context *, const char *, size_t);
} entries[] = {KSR_OPS(ENTRY)};
#undef ENTRY

/* The package's functions: MicroContextAllocatePersistentBuffer, -RequestScratchBufferInArena, -GetScratchBuffer and
 * -GetEvalTensor. */
void ksr_tflm_set_functions(const tflm_functions *functions) { tflm = *functions; }

/* Whether the resolver has the layout declared above: every op in it (there is always at least one) has its
 * functions, and a name if and only if it is a custom op. */
static int layout_is_known(const tflm_resolver *resolver) {
  if (resolver->count == 0 || resolver->count > RESOLVER_CAPACITY) return 0;
  for (uint32_t i = 0; i < resolver->count; ++i) {
    const tflm_registration *known = &resolver->registrations[i];
    if (!known->invoke || (known->builtin_code == CUSTOM) != (known->custom_name != 0)) return 0;
  }
  return 1;
}

_Bool KsrRegisterOps(tflm_resolver *resolver) {
  if (!tflm.get_tensor || !layout_is_known(resolver)) return 0;
  for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); ++i) {
    if (resolver->count == RESOLVER_CAPACITY) return 0;
    resolver->registrations[resolver->count++] = (tflm_registration){
        .init = entries[i].init,
        .prepare = prepare,
        .invoke = invoke,
        .builtin_code = CUSTOM,
        .custom_name = entries[i].op->name,
    };
  }
  return 1;
}
