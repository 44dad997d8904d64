{% extends "parts/tflm_main.cc" %}
{% block entry %}
extern "C" void app_main(void) {
{% for model in models %}
  if (!Run_{{ model.name }}()) std::printf("{{ model.name }} failed\n");
{% endfor %}
}
{% endblock %}
