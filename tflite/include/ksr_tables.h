/* Activations of the integer kernels, as tables without interpolation. */
#ifndef KSR_TABLES_H_
#define KSR_TABLES_H_
/* Sources: tables.c KSR_SMALL:half_table.c */

#include <stdint.h>

#include "ksr_build.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Q15. Entry 512 + k: sigmoid(k / 64), tanh(k / 128), for k = -512 .. 511. The last entry applies beyond this range; it
 * is stored twice for interpolation. */
#if KSR_SMALL
typedef enum ksr_table { ksr_sigmoid_table, ksr_tanh_table } ksr_table;

/* For magnitudes k: sigmoid's distance from 1/2 is an entry >> 2, tanh's from 0 is (entry - 1) >> 1. */
extern const uint16_t ksr_half_table[513];
#else
typedef const int16_t *ksr_table;

extern const int16_t ksr_sigmoid_table[1025];
extern const int16_t ksr_tanh_table[1025];
#endif

#ifdef __cplusplus
}
#endif

#endif /* KSR_TABLES_H_ */
