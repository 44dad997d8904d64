// Needs the library Arduino_TensorFlowLite: github.com/tensorflow/tflite-micro-arduino-examples, in your libraries folder. Its
// header stands here so that Arduino finds it, for the files in src/ too. Another port of TensorFlow Lite Micro has another
// header: put that in its place.
#include <TensorFlowLite.h>

{% for model in models %}
#include "src/{{ model.name }}.h"
{% endfor %}

void setup() {
  Serial.begin(115200);
{% for model in models %}
  if (!{{ model.name }}_init()) Serial.println("{{ model.name }} cannot be loaded");
{% endfor %}
}

void loop() {
{% for model in models %}
{% for t in model.tensors if t.kind == "input" %}
  // Fill {{ model.name }}_{{ t.name }}() with {{ model.name|upper }}_{{ t.name|upper }}_SIZE values: {{ t.shape }}.
{% endfor %}
  if ({{ model.name }}_invoke()) {
{% for t in model.tensors if t.kind == "output" %}
    for (int i = 0; i < {{ model.name|upper }}_{{ t.name|upper }}_SIZE; ++i) {
      Serial.print({{ model.name }}_{{ t.name }}()[i]);
      Serial.print(' ');
    }
{% endfor %}
    Serial.println();
  }
{% endfor %}
  delay(1000);
}
