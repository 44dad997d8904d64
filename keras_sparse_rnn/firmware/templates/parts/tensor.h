{# What is said of an input or an output: `t` a CTensor, `size` the number of values, `place` where they are. #}
{% macro about(model, t, size, place) %}
/* {{ t.kind|capitalize }} "{{ t.title }}"{{ place }}: {{ t.c_type }}, {{ t.shape }}{{ "; real value = SCALE * (stored value - ZERO_POINT)" if t.scale else "" }}{{ "; each channel, an index of the last axis, has a scale" if t.scales else "" }}. */
#define {{ model.name|upper }}_{{ t.name|upper }}_SIZE {{ size }}
{% if t.scale %}
#define {{ model.name|upper }}_{{ t.name|upper }}_SCALE {{ t.scale }}
{% endif %}
{% if t.scale or t.scales %}
#define {{ model.name|upper }}_{{ t.name|upper }}_ZERO_POINT ({{ t.zero_point }})
{% endif %}
{% if t.scales %}
/* real value = scales[channel] * (stored value - ZERO_POINT). */
extern const float {{ model.name }}_{{ t.name }}_scales[{{ t.scales|length }}];
/* Rounds SIZE real values to what the model takes. */
void {{ model.name }}_quantize_{{ t.name }}(const float *values, {{ t.c_type }} *stored);
{% endif %}
{% endmacro %}
{# The definition of the function that rounds an input with a scale for each channel. #}
{% macro quantization(model, t, size) %}
const float {{ model.name }}_{{ t.name }}_scales[{{ t.scales|length }}] = {
    {{ t.scales|batch(8)|map("join", ", ")|join(",\n    ") }}};

void {{ model.name }}_quantize_{{ t.name }}(const float *values, {{ t.c_type }} *stored) {
  for (int32_t i = 0; i < {{ size }}; ++i) {
    const float count = values[i] / {{ model.name }}_{{ t.name }}_scales[i % {{ t.scales|length }}];
    /* To the nearest integer, halves to the even one. A value that is not a number becomes the smallest. */
    int32_t nearest = !(count > -65536.0f) ? -65536 : count > 65536.0f ? 65536 : (int32_t)count;
    const float rest = count - (float)nearest;
    if (rest > 0.5f || (rest == 0.5f && nearest % 2 != 0)) ++nearest;
    if (rest < -0.5f || (rest == -0.5f && nearest % 2 != 0)) --nearest;
    nearest += {{ t.zero_point }};
    if (nearest < {{ t.limits[0] }}) nearest = {{ t.limits[0] }};
    if (nearest > {{ t.limits[1] }}) nearest = {{ t.limits[1] }};
    stored[i] = ({{ t.c_type }})nearest;
  }
}

{% endmacro %}
