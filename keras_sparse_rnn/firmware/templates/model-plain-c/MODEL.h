{% import "parts/parameters.h" as parameters %}
{% import "parts/tensor.h" as tensor %}
/* The model {{ model.name }} as plain C; made by keras-sparse-rnn {{ version }}.
 *
 * There is one instance: buffers and states are static.{{ " Several streams may take turns in it." if model.has_streams else "" }}
 * One call at a time: not from two threads, not from an interrupt. Other models may run meanwhile.
 * A call takes less than 2 kB of stack on a Cortex-M. */
#ifndef {{ model.name|upper }}_H_
#define {{ model.name|upper }}_H_

#include <stdint.h>

#include "ksr/ksr.h"

#ifdef __cplusplus
extern "C" {
#endif

{% for p in model.inputs + model.outputs %}
{{ tensor.about(model, p.c, p.size, ", " ~ p.name) }}
{% endfor %}
{% if model.is_streaming %}
/* Time steps in a sequence. The sizes above are those of one step. */
{% else %}
/* Calls for a sequence. No single steps: {{ model.obstacle }}. */
{% endif %}
enum { {{ model.name|upper }}_STEPS = {{ model.steps }} };

/* Sets the model up and clears its states; call it once before anything else. Returns KSR_OK, which is 0, or another status,
 * which ksr_status_text(status) says: the kernels are of another release than this file, and no other function may be
 * called. The model itself was checked when it was written. */
ksr_status {{ model.name }}_init(void);

/* Clears the states: the next step is the first one of a sequence. */
void {{ model.name }}_reset(void);

{% if model.thresholds %}
/* Multiplies the thresholds of held inputs and states by scale / 256; after init the scale is 256. Larger thresholds
 * make fewer changes, so they take fewer instructions, and the error grows. 0 holds nothing. It may be called between any two steps. */
void {{ model.name }}_set_threshold(uint16_t scale);

{% endif %}
{% if model.is_streaming %}
/* One time step. The states are kept from call to call. */
void {{ model.name }}_step({{ parameters.all(model)|replace("\n", "") }});

/* A whole sequence{{ "" if model.keeps_states else ", from a clear state" }}, step by step. */
{% else %}
/* One inference{{ "" if model.keeps_states else ", from a clear state" }}. */
{% endif %}
void {{ model.name }}_run({{ parameters.all(model, true)|replace("\n", "") }});
{% if model.has_streams %}

/* The states. Several streams take turns in the one instance: save those of one stream, load those of the next. */
typedef struct {{ model.name }}_states {
  uint8_t bytes[{{ model.state_bytes }}];
} {{ model.name }}_states;

void {{ model.name }}_save({{ model.name }}_states *to);
void {{ model.name }}_load(const {{ model.name }}_states *from);
{% endif %}

#ifdef __cplusplus
}
#endif

#endif /* {{ model.name|upper }}_H_ */
