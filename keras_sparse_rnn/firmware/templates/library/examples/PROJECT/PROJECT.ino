{% for model in models %}
#include <{{ model.name }}.h>
{% endfor %}

void setup() {
  Serial.begin(115200);
{% for model in models %}
  const ksr_status {{ model.name }}_status = {{ model.name }}_init();
  if ({{ model.name }}_status != KSR_OK) Serial.println(ksr_status_text({{ model.name }}_status));
{% endfor %}
}

void loop() {
{% for model in models %}
  {
{% for t in model.inputs %}
    static {{ t.c_type }} {{ t.name }}[{{ t.size }}];  // put your values here{{ ", those of one time step" if model.is_streaming else "" }}
{% endfor %}
{% for t in model.outputs %}
    static {{ t.c_type }} {{ t.name }}[{{ t.size }}];
{% endfor %}
    {{ model.name }}_{{ "step" if model.is_streaming else "run" }}({{ (model.inputs + model.outputs)|map(attribute="name")|join(", ") }});
{% for t in model.outputs %}
    for (int i = 0; i < {{ t.size }}; ++i) {
      Serial.print({{ t.name }}[i]);
      Serial.print(' ');
    }
{% endfor %}
    Serial.println();
  }
{% endfor %}
}
