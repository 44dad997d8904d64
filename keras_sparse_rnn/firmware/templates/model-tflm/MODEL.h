{% import "parts/tensor.h" as tensor %}
/* The model {{ model.name }} in TensorFlow Lite Micro; made by keras-sparse-rnn {{ version }}.
 *
 * There is one instance, with an arena of {{ model.arena }} bytes.
 * One call at a time: not from two threads, not from an interrupt. Other models may run meanwhile. */
#ifndef {{ model.name|upper }}_H_
#define {{ model.name|upper }}_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Loads the model: once, before anything else. False: it cannot be loaded, and TensorFlow Lite Micro's log says why. */
bool {{ model.name }}_init(void);

/* One inference, from the inputs to the outputs. False: an op failed, or the model is not loaded. */
bool {{ model.name }}_invoke(void);

/* Clears the states that a model keeps from one inference to the next. */
void {{ model.name }}_reset(void);

/* Inputs and outputs: NULL before the model is loaded. Fill the inputs before each inference, since the arena is used for
 * other values meanwhile. */
{% for t in model.tensors %}

{{ tensor.about(model, t, t.size, "") -}}
{{ t.qualified_type }} *{{ model.name }}_{{ t.name }}(void);
{% if t.alias %}
static inline {{ t.qualified_type }} *{{ model.name }}_{{ t.alias }}(void) { return {{ model.name }}_{{ t.name }}(); }
{% endif %}
{% endfor %}

#ifdef __cplusplus
}
#endif

#endif /* {{ model.name|upper }}_H_ */
