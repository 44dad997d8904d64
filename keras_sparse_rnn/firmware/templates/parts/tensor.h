{# What is said of an input or an output: `t` a CTensor, `size` the number of values, `place` where they are. #}
{% macro about(model, t, size, place) %}
/* {{ t.kind|capitalize }} "{{ t.title }}"{{ place }}: {{ t.c_type }}, {{ t.shape }}{{ "; real value = SCALE * (stored value - ZERO_POINT)" if t.scale else "" }}. */
#define {{ model.name|upper }}_{{ t.name|upper }}_SIZE {{ size }}
{% if t.scale %}
#define {{ model.name|upper }}_{{ t.name|upper }}_SCALE {{ t.scale }}
#define {{ model.name|upper }}_{{ t.name|upper }}_ZERO_POINT ({{ t.zero_point }})
{% endif %}
{% endmacro %}
