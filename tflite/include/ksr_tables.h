/* Activations of the integer kernels, as tables without interpolation. */
#ifndef KSR_TABLES_H_
#define KSR_TABLES_H_
/* Sources: tables.c */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Q15. Entry 512 + k: sigmoid(k / 64), tanh(k / 128), for k = -512 .. 511; beyond, the last entry holds, which is there
 * twice for those who interpolate. */
extern const int16_t ksr_sigmoid_table[1025];
extern const int16_t ksr_tanh_table[1025];

#ifdef __cplusplus
}
#endif

#endif /* KSR_TABLES_H_ */
