{% import "parts/parameters.h" as parameters %}
{% if streaming %}
/* The source of the frames: read your microphone or sensor here. */
#include "frames.h"

#include <string.h>

{% for model in models if model.is_streaming %}
#include "{{ model.name }}.h"
{% endfor %}
{% for model in models if model.is_streaming %}

/* {{ model.name|upper }}_STEPS frames of zeros. */
int {{ model.name }}_next_frame({{ parameters.inputs(model)|replace("\n", "") }}) {
  static int count;
{% for t in model.inputs %}
  memset({{ t.name }}, 0, {{ t.size }} * sizeof(*{{ t.name }}));
{% endfor %}
  return count++ < {{ model.name|upper }}_STEPS ? 1 : -1;
}
{% endfor %}
{% endif %}
