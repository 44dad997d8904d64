{% import "parts/parameters.h" as parameters %}
{% if streaming %}
#ifndef FRAMES_H_
#define FRAMES_H_

#include <stdint.h>

{% for model in models if model.is_streaming %}
/* Waits for the next frame of {{ model.name }} and fills it in: 1. At the end of a sequence: 0, and nothing is filled in.
 * Nothing will follow: -1. */
int {{ model.name }}_next_frame({{ parameters.inputs(model)|replace("\n", "") }});

{% endfor %}
#endif /* FRAMES_H_ */
{% endif %}
