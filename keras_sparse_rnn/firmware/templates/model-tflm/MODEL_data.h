#ifndef {{ model.name|upper }}_DATA_H_
#define {{ model.name|upper }}_DATA_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const unsigned char {{ model.name }}_tflite[];
extern const size_t {{ model.name }}_tflite_size; /* {{ model.data_size }} bytes */

#ifdef __cplusplus
}
#endif

#endif /* {{ model.name|upper }}_DATA_H_ */
