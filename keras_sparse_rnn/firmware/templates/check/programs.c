/* The table of models that check.c runs. */
#include "check.h"
#include "ksr_align.h"
#include "marks.h"
{% for name in files %}
#include "{{ name }}.h"
{% endfor %}

{% for p in programs %}
extern const uint8_t {{ p.name }}_inputs[], {{ p.name }}_outputs[];

static int init_{{ p.name }}(void) {
  KSR_STACK_BEGIN();
{% if counts_init %}
  KSR_COUNT_BEGIN();
{% endif %}
  const int status = {{ p.name }}_init();
{% if counts_init %}
  KSR_COUNT_END();
{% endif %}
  return status;
}

static void call_{{ p.name }}(const uint8_t *x, uint8_t *y) {
  KSR_STACK_BEGIN();
  KSR_COUNT_BEGIN();
  {{ p.call }}({% for at in p.inputs %}(const void *)(x + {{ at }}), {% endfor %}{% for at in p.outputs %}(void *)(y + {{ at }}){{ "" if loop.last else ", " }}{% endfor %});
  KSR_COUNT_END();
}

{% endfor %}
KSR_ALIGNED(16) uint8_t ksr_output[{{ programs|map(attribute="output_bytes")|max }}];

const ksr_program ksr_programs[{{ programs|length }}] = {
{% for p in programs %}
  {"{{ p.name }}", init_{{ p.name }}, {{ p.name }}_reset, call_{{ p.name }}, {{ p.name }}_inputs, {{ p.name }}_outputs,
   {{ p.input_bytes }}, {{ p.output_bytes }}, {{ p.calls }}, {{ p.calls_per_sequence }}},
{% endfor %}
};
const int32_t ksr_program_count = {{ programs|length }};
