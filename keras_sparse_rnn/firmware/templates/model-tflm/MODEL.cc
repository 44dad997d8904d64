{% import "parts/tensor.h" as tensor %}
#include "{{ model.name }}.h"

#include <new>

{% for symbol in model.custom_ops %}
#include "ksr/{{ symbol }}.h"
{% endfor %}
#include "ksr/ksr_tflm.h"
#include "{{ model.name }}_data.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using Resolver = tflite::MicroMutableOpResolver<{{ model.resolver_methods|length + model.custom_ops|length }}>;
using Interpreter = tflite::MicroInterpreter;

// Static objects with constructors of their own would need what bare-metal C++ may lack.
alignas(Resolver) uint8_t resolver_memory[sizeof(Resolver)];
alignas(Interpreter) uint8_t interpreter_memory[sizeof(Interpreter)];
alignas(16) uint8_t arena[{{ model.arena }}];  // {{ model.arena_note }}
Interpreter* interpreter = nullptr;

bool AddOps(Resolver* resolver) {
{% for method in model.resolver_methods %}
  if (resolver->{{ method }}() != kTfLiteOk) return false;
{% endfor %}
{% for symbol in model.custom_ops %}
  if (ksr::AddOp<&{{ symbol }}>(*resolver) != kTfLiteOk) return false;
{% endfor %}
  return true;
}

}  // namespace

bool {{ model.name }}_init(void) {
  if (interpreter != nullptr) return true;
  if (!({{ core_symbols(model.features)|join(" && ") }})) return false;  // the linker looks for kernels that fit
  const tflite::Model* model = tflite::GetModel({{ model.name }}_tflite);
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("{{ model.name }} has version %d of the schema, and this library reads %d", static_cast<int>(model->version()),
                TFLITE_SCHEMA_VERSION);
    return false;
  }
  auto* resolver = new (resolver_memory) Resolver;
  if (!AddOps(resolver)) return false;
  auto* loaded = new (interpreter_memory) Interpreter(model, *resolver, arena, sizeof(arena));
  if (loaded->AllocateTensors() != kTfLiteOk) {
    MicroPrintf("{{ model.name }} cannot be loaded into an arena of %d bytes; if the lines above do not say otherwise, it needs "
                "{{ model.arena }} bytes", static_cast<int>(sizeof(arena)));
    return false;
  }
  interpreter = loaded;
  return true;
}

bool {{ model.name }}_invoke(void) { return interpreter != nullptr && interpreter->Invoke() == kTfLiteOk; }

void {{ model.name }}_reset(void) {
  if (interpreter != nullptr) interpreter->Reset();
}
{% for t in model.tensors %}

{{ t.qualified_type }} *{{ model.name }}_{{ t.name }}(void) {
  if (interpreter == nullptr) return nullptr;
  return static_cast<{{ t.qualified_type }} *>(interpreter->{{ t.kind }}({{ t.number }})->data.data);
}
{% endfor %}
{% for t in model.tensors if t.scales %}

{{ tensor.quantization(model, t, t.size) -}}
{% endfor %}
