/* {{ names|join(", ") }}: one header and one source{{ "" if processor.name == "any" else " for a " ~ processor.name }}; made by keras-sparse-rnn {{ version }}. */
#ifndef {{ project|upper }}_SINGLE_FILE_H_
#define {{ project|upper }}_SINGLE_FILE_H_

#include <stdint.h>

{% for header in public %}
{{ header }}
{% endfor %}
{{ models }}
#endif /* {{ project|upper }}_SINGLE_FILE_H_ */
