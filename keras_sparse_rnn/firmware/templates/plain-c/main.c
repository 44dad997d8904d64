/* A program to begin with: runs {{ "each model" if models|length > 1 else "the model" }} and prints its outputs. */
#include <stdio.h>

{% if streaming %}
#include "frames.h"
{% endif %}
{% for model in models %}
#include "{{ model.name }}.h"
{% endfor %}
{% for model in models %}

static int run_{{ model.name }}(void) {
{% for t in model.inputs %}
  static {{ t.c_type }} {{ t.name }}[{{ t.size }}];{{ "" if model.is_streaming else "  /* put your values here: " ~ t.c.shape ~ " */" }}
{% endfor %}
{% for t in model.outputs %}
  static {{ t.c_type }} {{ t.name }}[{{ t.size }}];
{% endfor %}
  const ksr_status status = {{ model.name }}_init();
  if (status != KSR_OK) {
    printf("{{ model.name }}: %s\n", ksr_status_text(status));
    return 1;
  }
{% if model.is_streaming %}
  for (int more; (more = {{ model.name }}_next_frame({{ model.inputs|map(attribute="name")|join(", ") }})) >= 0;) {
    if (more == 0) {
      {{ model.name }}_reset();
      continue;
    }
    {{ model.name }}_step({{ (model.inputs + model.outputs)|map(attribute="name")|join(", ") }});
{% for t in model.outputs %}
    for (int i = 0; i < {{ t.size }}; ++i) printf("{{ t.c.conversion }} ", ({{ t.c.printed_as }}){{ t.name }}[i]);
{% endfor %}
    printf("\n");
  }
{% else %}
  {{ model.name }}_run({{ (model.inputs + model.outputs)|map(attribute="name")|join(", ") }});
{% for t in model.outputs %}
  for (int i = 0; i < {{ t.size }}; ++i) printf("{{ t.c.conversion }} ", ({{ t.c.printed_as }}){{ t.name }}[i]);
{% endfor %}
  printf("\n");
{% endif %}
  return 0;
}
{% endfor %}

int main(void) {
  return {% for model in models %}{{ " | " if not loop.first else "" }}run_{{ model.name }}(){% endfor %};
}
