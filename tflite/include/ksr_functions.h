/* Functions of one float, for models in plain C: without the C library's, which not every build links. */
#ifndef KSR_FUNCTIONS_H_
#define KSR_FUNCTIONS_H_
/* Sources: functions.c */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* To about 1e-7 of itself; e^x for |x| up to 87, beyond which it stays as it is there. */
float ksr_exponential(float x);
/* Of positive numbers; minus infinity of others. */
float ksr_logarithm(float x);
/* 1 / sqrt(x), infinity from 0 down; and 0 from 0 down. */
float ksr_inverse_root(float x);
float ksr_square_root(float x);

/* The nearest integer from `low` to `high`. */
int32_t ksr_rounded(float x, int32_t low, int32_t high);

#ifdef __cplusplus
}
#endif

#endif /* KSR_FUNCTIONS_H_ */
