#include "ksr_tflm.h"

#include "tensorflow/lite/micro/micro_log.h"

namespace ksr {
namespace {

/* One node of the model, in the arena. */
struct NodeData {
  const ksr_op* op;
  void* data;
  int scratch;
};

/* A node of the core with room for its tensors. */
struct NodeView {
  ksr_node node;
  ksr_tensor inputs[KSR_MAX_INPUTS];
  ksr_tensor outputs[KSR_MAX_OUTPUTS];
};

/* A type that no op of this library takes becomes the number after the last one, so that the op refuses it; -1 would
 * mean an absent tensor. */
int32_t TypeOf(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32: return KSR_FLOAT32;
    case kTfLiteInt8: return KSR_INT8;
    case kTfLiteUInt8: return KSR_UINT8;
    case kTfLiteInt16: return KSR_INT16;
    case kTfLiteUInt16: return KSR_UINT16;
    case kTfLiteInt32: return KSR_INT32;
    case kTfLiteUInt32: return KSR_UINT32;
    case kTfLiteBool: return KSR_BOOL;
    default: return KSR_OTHER_TYPE;
  }
}

bool ViewTensors(TfLiteContext* context, const TfLiteIntArray* numbers, int most, ksr_tensor* views) {
  if (numbers->size > most) return false;
  for (int i = 0; i < numbers->size; ++i) {
    views[i] = {nullptr, -1, 0, {}};
    if (numbers->data[i] == kTfLiteOptionalTensor) continue;
    const TfLiteEvalTensor* tensor = context->GetEvalTensor(context, numbers->data[i]);
    if (tensor == nullptr || tensor->dims->size > KSR_MAX_RANK) return false;
    views[i].data = tensor->data.data;
    views[i].type = TypeOf(tensor->type);
    views[i].rank = tensor->dims->size;
    for (int d = 0; d < tensor->dims->size; ++d) views[i].dims[d] = tensor->dims->data[d];
  }
  return true;
}

bool View(TfLiteContext* context, TfLiteNode* node, NodeView* view) {
  view->node = {static_cast<const uint8_t*>(node->custom_initial_data),
                static_cast<uint32_t>(node->custom_initial_data_size),
                node->inputs->size,
                node->outputs->size,
                view->inputs,
                view->outputs};
  return ViewTensors(context, node->inputs, KSR_MAX_INPUTS, view->inputs) &&
         ViewTensors(context, node->outputs, KSR_MAX_OUTPUTS, view->outputs);
}

}  // namespace

void* Init(TfLiteContext* context, const ksr_op* op) {
  auto* data = static_cast<NodeData*>(context->AllocatePersistentBuffer(context, sizeof(NodeData)));
  if (data == nullptr) return nullptr;
  *data = {op, context->AllocatePersistentBuffer(context, op->data_size), -1};
  return data->data == nullptr ? nullptr : data;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  auto* data = static_cast<NodeData*>(node->user_data);
  NodeView view;
  if (data == nullptr) return kTfLiteError;
  if (!View(context, node, &view)) {
    MicroPrintf("%s: at most %d inputs, %d outputs and %d dimensions are allowed.", data->op->name, KSR_MAX_INPUTS,
                KSR_MAX_OUTPUTS, KSR_MAX_RANK);
    return kTfLiteError;
  }
  uint32_t scratch_size = 0;
  const ksr_status status = data->op->prepare(&view.node, data->data, &scratch_size);
  if (status != KSR_OK) {
    const int kind = KSR_KIND(status);
    const char* of = KSR_IS_OF_WORD(kind) ? "word" : KSR_IS_OF_INPUT(kind) ? "input" : "node";
    MicroPrintf("%s refused: %s %d: %s.", data->op->name, of, static_cast<int>(KSR_NUMBER(status)),
                ksr_status_text(status));
    return kTfLiteError;
  }
  return context->RequestScratchBufferInArena(context, scratch_size, &data->scratch);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  const auto* data = static_cast<const NodeData*>(node->user_data);
  NodeView view;
  if (!View(context, node, &view)) return kTfLiteError;
  data->op->invoke(&view.node, data->data, context->GetScratchBuffer(context, data->scratch));
  return kTfLiteOk;
}

}  // namespace ksr
