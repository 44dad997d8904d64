// A program to begin with: runs {{ "each model" if models|length > 1 else "the model" }} once and prints its outputs.
#include <cstdio>

{% for model in models %}
#include "{{ model.name }}.h"
{% endfor %}

namespace {
{% for model in models %}

bool Run_{{ model.name }}() {
  if (!{{ model.name }}_init()) return false;
{% for t in model.tensors if t.kind == "input" %}
  // Fill {{ model.name }}_{{ t.name }}() with {{ model.name|upper }}_{{ t.name|upper }}_SIZE values: {{ t.shape }}.
{% endfor %}
  if (!{{ model.name }}_invoke()) return false;
{% for t in model.tensors if t.kind == "output" %}
  for (int i = 0; i < {{ model.name|upper }}_{{ t.name|upper }}_SIZE; ++i) {
    std::printf("{{ t.conversion }} ", static_cast<{{ t.printed_as }}>({{ model.name }}_{{ t.name }}()[i]));
  }
{% endfor %}
  std::printf("\n");
  return true;
}
{% endfor %}

}  // namespace

{% block entry %}
int main() { return {% for model in models %}{{ "" if loop.first else " && " }}Run_{{ model.name }}(){% endfor %} ? 0 : 1; }
{% endblock %}
