/* Calls a model until its input ends, and writes its outputs and all of its tensors. */
#include "{{ model.name }}.c"

#include <stdio.h>
#include <stdlib.h>

enum { GUARD = 64, PATTERN = 0x5a };

{% for p in model.inputs + model.outputs %}
static {{ p.c_type }} {{ p.name }}[{{ p.size * p.steps }} + GUARD];
{% endfor %}

typedef struct buffer {
  void *values;
  size_t in_call, in_run, whole;
} buffer;

{% macro rows(parameters) %}
{% for p in parameters %}
  { {{- p.name }}, {{ p.bytes }}, {{ p.bytes * p.steps }}, sizeof({{ p.name }})},
{% endfor %}
{% endmacro %}
static const buffer inputs[] = {
{{ rows(model.inputs) -}}
};
static const buffer outputs[] = {
{{ rows(model.outputs) -}}
};
static const buffer tensors[] = {
{% for i in model.computed %}
  {.values = tensor_{{ i }}, .in_call = sizeof(tensor_{{ i }})},
{% endfor %}
};
#define EACH(b, list) const buffer *b = list; b < list + sizeof(list) / sizeof(*list); ++b

int main(int argc, char **argv) {
  const int is_run = argc > 1 && !strcmp(argv[1], "run");
  if ({{ model.name }}_init() != 0) return 2;
  for (int restarts; (restarts = getchar()) != EOF;) {
    if (restarts) {{ model.name }}_reset();
    for (EACH(b, inputs)) if (!fread(b->values, is_run ? b->in_run : b->in_call, 1, stdin)) return 3;
    for (EACH(b, outputs)) memset(b->values, PATTERN, b->whole);
    if (is_run) {
      {{ model.name }}_run({{ (model.inputs + model.outputs)|map(attribute="name")|join(", ") }});
    } else {
      {{ model.call }}({{ (model.inputs + model.outputs)|map(attribute="name")|join(", ") }});
    }
    for (EACH(b, outputs)) {
      const size_t size = is_run ? b->in_run : b->in_call;
      for (size_t i = size; i < b->whole; ++i) if (((unsigned char *)b->values)[i] != PATTERN) return 4;
      if (!fwrite(b->values, size, 1, stdout)) return 3;
    }
    if (!is_run) for (EACH(b, tensors)) if (!fwrite(b->values, b->in_call, 1, stdout)) return 3;
  }
  return 0;
}
