#include "{{ model.name }}_data.h"

alignas(16) const unsigned char {{ model.name }}_tflite[{{ model.data_size }}] = {
{{ model.data_rows }}
};
const size_t {{ model.name }}_tflite_size = sizeof({{ model.name }}_tflite);
