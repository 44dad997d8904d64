/* {{ names|join(", ") }}{{ "" if processor.name == "any" else " for a " ~ processor.name }}, with the kernels of keras-sparse-rnn {{ version }}. */
#include "{{ project }}.h"

{% for header in system_headers %}
#include {{ header }}
{% endfor %}

#ifdef __clang__
#pragma clang diagnostic ignored "-Wunused-function" /* inline ones, which it would not mind in headers */
#endif

{% if processor.condition %}
#if !({{ processor.condition }})
#error "this file is for a {{ processor.name }}: write it again for this processor, or for any"
#endif

{% endif %}
{% for header in private %}
{{ header }}
{% endfor %}
{% for path, text in sources.items() %}
/* {{ path }} */

{{ text }}
{% endfor %}
