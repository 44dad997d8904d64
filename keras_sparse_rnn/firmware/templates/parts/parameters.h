{# The parameters of a function of plain C, for a step or for a whole sequence. #}
{% macro inputs(model) %}
{% for x in model.inputs %}{{ x.c_type }} {{ x.name }}[{{ x.size }}]{{ "" if loop.last else ", " }}{% endfor %}
{% endmacro %}
{% macro all(model, in_sequence=false) %}
{% for x in model.inputs %}const {{ x.c_type }} {{ x.name }}[{{ x.size * (x.steps if in_sequence else 1) }}], {% endfor %}
{% for y in model.outputs %}{{ y.c_type }} {{ y.name }}[{{ y.size * (y.steps if in_sequence else 1) }}]{{ "" if loop.last else ", " }}{% endfor %}
{% endmacro %}
