/* The ops of this library in LiteRT and tf.lite, as an external delegate: load_delegate(<this library>) in Python.
 *
 * Neither interpreter ships its C headers with its Python package, so the part of the C interface that a delegate
 * uses is declared here. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter_node.h"

typedef struct litert_tensor {
  int32_t type;
  void *data;
  int_array *dims;
  struct { float scale; int32_t zero_point; } scale;
  int32_t allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  struct litert_delegate *owner;
  int32_t buffer_handle;
  _Bool data_is_stale;
  _Bool is_variable;
  struct { int32_t type; void *params; } quantization;
  void *sparsity;
  const int_array *dims_signature;
} litert_tensor;

enum { IN_THE_FILE = 1, PERSISTENT_CONSTANT = 5 }; /* of allocation_type */

typedef struct litert_node {
  int_array *inputs;
  int_array *outputs;
  int_array *intermediates;
  int_array *temporaries;
  void *user_data;
  void *builtin_data;
  const void *custom_options;
  int32_t custom_options_size;
  struct litert_delegate *delegate;
  _Bool might_have_side_effect;
} litert_node;

typedef struct litert_context litert_context;

typedef struct litert_registration {
  void *(*init)(litert_context *, const char *buffer, size_t length);
  void (*free)(litert_context *, void *user_data);
  status (*prepare)(litert_context *, litert_node *);
  status (*invoke)(litert_context *, litert_node *);
  const char *(*profiling_string)(const litert_context *, const litert_node *);
  int32_t builtin_code;
  const char *custom_name;
  int32_t version;
  void *external;
  void *async_kernel;
  uint64_t inplace;
} litert_registration;

struct litert_context {
  size_t tensor_count;
  status (*get_execution_plan)(litert_context *, int_array **plan);
  litert_tensor *tensors;
  void *interpreter;
  status (*resize_tensor)(litert_context *, litert_tensor *, int_array *);
  void (*report_error)(litert_context *, const char *format, ...);
  status (*add_tensors)(litert_context *, int32_t count, int32_t *first);
  status (*get_node)(litert_context *, int32_t node, litert_node **, litert_registration **);
  status (*replace_nodes)(litert_context *, litert_registration, const int_array *nodes, struct litert_delegate *);
  /* further members are not used here */
};

enum { ALLOW_DYNAMIC_TENSORS = 1 }; /* without it, a custom op unknown to the resolver stays unresolved */

typedef struct litert_delegate {
  void *data;
  status (*prepare)(litert_context *, struct litert_delegate *);
  void *copy_from_buffer_handle;
  void *copy_to_buffer_handle;
  void *free_buffer_handle;
  int64_t flags;
  void *opaque_builder;
} litert_delegate;

/* What the init of a delegate kernel receives as its buffer. */
typedef struct litert_partition {
  litert_delegate *delegate;
  int_array *nodes;
  int_array *inputs;
  int_array *outputs;
} litert_partition;

/* One op of the model. The interpreter replaces its node by one of the delegate, whose tensors are in another order.
 * So the original numbers are kept here. */
typedef struct kernel_data {
  const ksr_op *op;
  int32_t input_count;
  int32_t output_count;
  int32_t inputs[KSR_MAX_INPUTS];
  int32_t outputs[KSR_MAX_OUTPUTS];
  uint8_t *options;
  uint32_t options_size;
  void *data;
  void *scratch;
} kernel_data;

static size_t size_of_type(int32_t type) {
  switch (type) {
    case KSR_INT8:
    case KSR_UINT8:
    case KSR_BOOL: return 1;
    case KSR_INT16:
    case KSR_UINT16: return 2;
    default: return 4;
  }
}

/* The interpreter checks the bytes of a constant tensor against its shape, but not those of one in a sparse
 * encoding. */
static int data_fill_shape(const ksr_tensor *tensor, size_t bytes) {
  if (!tensor->data) return 1;
  uint64_t size = size_of_type(tensor->type);
  for (int32_t i = 0; i < tensor->rank; ++i) {
    if (tensor->dims[i] < 0) return 0;
    size *= (uint64_t)tensor->dims[i];
    if (size > bytes) return 0;
  }
  return 1;
}

static int view_tensors(const litert_context *context, const int32_t *numbers, int32_t count, int constants_only,
                        ksr_tensor *views) {
  for (int32_t i = 0; i < count; ++i) {
    if (numbers[i] == TENSOR_ABSENT) {
      view_absent_tensor(&views[i]);
      continue;
    }
    const litert_tensor *tensor = &context->tensors[numbers[i]];
    if (!view_tensor(&views[i], tensor->type, tensor->dims, tensor->data)) return 0;
    if (!data_fill_shape(&views[i], tensor->bytes)) return 0;
    const int is_constant = tensor->allocation_type == IN_THE_FILE || tensor->allocation_type == PERSISTENT_CONSTANT;
    if (constants_only && !is_constant) views[i].data = 0;
  }
  return 1;
}

static int view_node(const litert_context *context, const kernel_data *kernel, int constants_only, node_view *view) {
  view->node.options = kernel->options;
  view->node.options_size = kernel->options_size;
  view->node.input_count = kernel->input_count;
  view->node.output_count = kernel->output_count;
  view->node.inputs = view->inputs;
  view->node.outputs = view->outputs;
  return view_tensors(context, kernel->inputs, kernel->input_count, constants_only, view->inputs) &&
         view_tensors(context, kernel->outputs, kernel->output_count, constants_only, view->outputs);
}

static void kernel_free(litert_context *context, void *user_data) {
  kernel_data *kernel = user_data;
  (void)context;
  if (!kernel) return;
  free(kernel->scratch);
  free(kernel->data);
  free(kernel->options);
  free(kernel);
}

static void *kernel_init(litert_context *context, const char *buffer, size_t length) {
  const litert_partition *partition = (const void *)buffer;
  litert_node *node;
  litert_registration *registration;
  (void)length;
  if (context->get_node(context, partition->nodes->data[0], &node, &registration) != STATUS_OK) return 0;
  if (node->inputs->size > KSR_MAX_INPUTS || node->outputs->size > KSR_MAX_OUTPUTS) {
    context->report_error(context, "%s: %d inputs and %d outputs; at most %d and %d are allowed.",
                          registration->custom_name, node->inputs->size, node->outputs->size, KSR_MAX_INPUTS,
                          KSR_MAX_OUTPUTS);
    return 0;
  }
  kernel_data *kernel = calloc(1, sizeof(*kernel));
  if (!kernel) return 0;
  kernel->op = ksr_find_op(registration->custom_name);
  kernel->data = malloc(kernel->op->data_size);
  if (!kernel->data) {
    kernel_free(context, kernel);
    return 0;
  }
  kernel->input_count = node->inputs->size;
  kernel->output_count = node->outputs->size;
  for (int32_t i = 0; i < kernel->input_count; ++i) kernel->inputs[i] = node->inputs->data[i];
  for (int32_t i = 0; i < kernel->output_count; ++i) kernel->outputs[i] = node->outputs->data[i];
  if (node->custom_options && node->custom_options_size > 0) {
    kernel->options_size = (uint32_t)node->custom_options_size;
    kernel->options = malloc(kernel->options_size);
    if (!kernel->options) {
      kernel_free(context, kernel);
      return 0;
    }
    memcpy(kernel->options, node->custom_options, kernel->options_size);
  }
  return kernel;
}

static status kernel_prepare(litert_context *context, litert_node *node) {
  kernel_data *kernel = node->user_data;
  node_view view;
  uint32_t scratch_size = 0;
  if (!kernel) return STATUS_ERROR;
  if (!view_node(context, kernel, 1, &view)) {
    context->report_error(context, "%s: a tensor has more than %d dimensions, or fewer data than its shape.",
                          kernel->op->name, KSR_MAX_RANK);
    return STATUS_ERROR;
  }
  const ksr_status prepared = kernel->op->prepare(&view.node, kernel->data, &scratch_size);
  if (prepared != KSR_OK) {
    char text[256];
    explain(kernel->op, &view.node, prepared, text, sizeof(text));
    context->report_error(context, "%s refused: %s.", kernel->op->name, text);
    return STATUS_ERROR;
  }
  free(kernel->scratch);
  kernel->scratch = malloc(scratch_size + 1); /* never 0 bytes, so that NULL means out of memory */
  if (!kernel->scratch) {
    context->report_error(context, "%s: no memory for %u bytes of scratch.", kernel->op->name, (unsigned)scratch_size);
    return STATUS_ERROR;
  }
  return STATUS_OK;
}

static status kernel_invoke(litert_context *context, litert_node *node) {
  kernel_data *kernel = node->user_data;
  node_view view;
  /* Repeated each time: a state tensor has no data before the first inference, and any tensor may have moved. */
  if (!view_node(context, kernel, 0, &view) || !tensors_are_placed(&view)) {
    context->report_error(context, "%s: a tensor has no memory, or less than its shape.", kernel->op->name);
    return STATUS_ERROR;
  }
  kernel->op->invoke(&view.node, kernel->data, kernel->scratch);
  return STATUS_OK;
}

static status delegate_prepare(litert_context *context, litert_delegate *delegate) {
  const litert_registration replacement = {.init = kernel_init,
                                           .free = kernel_free,
                                           .prepare = kernel_prepare,
                                           .invoke = kernel_invoke,
                                           .custom_name = "KsrDelegate",
                                           .version = 1};
  int_array *plan;
  if (context->get_execution_plan(context, &plan) != STATUS_OK) return STATUS_ERROR;
  /* Each replacement changes the plan and its array. */
  const int32_t count = plan->size;
  int32_t *nodes = malloc(sizeof(int32_t) * (size_t)(count > 0 ? count : 1));
  int_array *single = malloc(sizeof(int_array) + sizeof(int32_t));
  status result = nodes && single ? STATUS_OK : STATUS_ERROR;
  if (result == STATUS_OK) memcpy(nodes, plan->data, sizeof(int32_t) * (size_t)count);
  /* One call per op: with two ops in one partition, the tensor between them would have no memory. */
  for (int32_t i = 0; result == STATUS_OK && i < count; ++i) {
    litert_node *node;
    litert_registration *registration;
    result = context->get_node(context, nodes[i], &node, &registration);
    if (result != STATUS_OK || !registration->custom_name || !ksr_find_op(registration->custom_name)) continue;
    single->size = 1;
    single->data[0] = nodes[i];
    result = context->replace_nodes(context, replacement, single, delegate);
  }
  free(single);
  free(nodes);
  return result;
}

litert_delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                               void (*report_error)(const char *)) {
  (void)values;
  if (count > 0) {
    if (report_error) report_error("The delegate of keras-sparse-rnn takes no options; given:");
    for (size_t i = 0; report_error && i < count; ++i) report_error(keys[i]);
    return 0;
  }
  litert_delegate *created = calloc(1, sizeof(*created));
  if (!created) return 0;
  created->prepare = delegate_prepare;
  created->flags = ALLOW_DYNAMIC_TENSORS;
  return created;
}

void tflite_plugin_destroy_delegate(litert_delegate *created) { free(created); }
