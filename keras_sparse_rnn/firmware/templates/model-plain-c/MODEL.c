{% import "parts/parameters.h" as parameters %}
{% import "parts/tensor.h" as tensor %}
#include "{{ model.name }}.h"

#include <string.h>

{% for header in model.headers %}
#include "{{ core_include(header) }}"
{% endfor %}
{% if model.has_marks %}
#include "marks.h"
{% endif %}

{% if model.states %}
static struct {
{% for state in model.states %}
  KSR_ALIGNED(16) {{ state.c_type }} {{ state.name }}[{{ state.size }}];
{% endfor %}
} states;

{% endif %}
{% for declaration in model.declarations %}
{{ declaration }}
{% endfor %}
{% macro clear(states) %}
{% for state in states %}
  memset(states.{{ state.name }}, {{ state.zero }}, sizeof(states.{{ state.name }}));
{% endfor %}
{% endmacro %}
void {{ model.name }}_reset(void) {
{{ clear(model.states) -}}
}

{% if model.thresholds %}
void {{ model.name }}_set_threshold(uint16_t scale) {
{% for t in model.thresholds %}
  ksr_scale_thresholds_{{ t.kind }}({{ t.name }}, {{ t.size }}, scale, {{ t.name }}_now);
{% endfor %}
}

{% endif %}
ksr_status {{ model.name }}_init(void) {
  /* The linker looks for kernels of this release with these features. */
  if (!({{ core_symbols(model.features)|join(" && ") }})) return KSR_OTHER_VERSION;
{% for check in model.checks %}
{{ check -}}
{% endfor %}
{% if model.thresholds %}
  {{ model.name }}_set_threshold(KSR_THRESHOLD_ONE);
{% endif %}
  {{ model.name }}_reset();
  return KSR_OK;
}

{% for x in model.inputs if x.c.scales %}
{{ tensor.quantization(model, x.c, x.size) }}
{% endfor %}
{% macro one_call() %}
{% for x in model.inputs %}
  memcpy({{ x.buffer }}, {{ x.name }}, sizeof({{ x.buffer }}));
{% endfor %}
{% if model.has_marks %}
  KSR_COUNT_PART();
{% endif %}
{% for call in model.calls %}
  {{ call }}
{% if model.has_marks %}
  KSR_COUNT_PART();
{% endif %}
{% endfor %}
{% if model.gate %}
  /* A skipped step repeats the last outputs. */
  if (tensor_{{ model.gate.outputs[0] }}[0] || !states.has_begun[0]) {
{% for call in model.gated_calls %}
    {{ call|replace("\n", "\n  ") }}
{% if model.has_marks %}
    KSR_COUNT_PART();
{% endif %}
{% endfor %}
{% for y in model.outputs %}
    memcpy(states.last_{{ y.name }}, {{ y.buffer }}, sizeof({{ y.buffer }}));
{% endfor %}
    states.has_begun[0] = 1;
  }
{%- if model.has_marks %}
 else {
{% for call in model.gated_calls %}
    KSR_COUNT_PART();
{% endfor %}
  }
{%- endif %}

{% endif %}
{% for y in model.outputs %}
  memcpy({{ y.name }}, {{ "states.last_" ~ y.name if model.gate else y.buffer }}, sizeof({{ y.buffer }}));
{% endfor %}
{% endmacro %}
{% if model.is_streaming %}
void {{ model.name }}_step({{ parameters.all(model)|replace("\n", "") }}) {
{{ one_call() -}}
}

{% endif %}
void {{ model.name }}_run({{ parameters.all(model, true)|replace("\n", "") }}) {
{% if model.keeps_states %}
{{ clear(model.states|rejectattr("is_kept")) -}}
{% else %}
  {{ model.name }}_reset();
{% endif %}
{% if model.is_streaming %}
  for (int32_t t = 0; t < {{ model.steps }}; ++t) {
    {{ model.name }}_step({% for p in model.inputs + model.outputs %}{{ p.name }}{{ " + t * " ~ p.size if p.steps > 1 else "" }}{{ "" if loop.last else ", " }}{% endfor %});
  }
{% else %}
{{ one_call() -}}
{% endif %}
}
{% if model.has_streams %}

/* The states have the size that the header says. */
typedef char {{ model.name }}_states_fit[sizeof(states) == sizeof({{ model.name }}_states) ? 1 : -1];

void {{ model.name }}_save({{ model.name }}_states *to) { memcpy(to->bytes, &states, sizeof(states)); }

void {{ model.name }}_load(const {{ model.name }}_states *from) { memcpy(&states, from->bytes, sizeof(states)); }
{% endif %}
