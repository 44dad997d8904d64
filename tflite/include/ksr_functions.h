/* Functions of one float, for models in plain C, without the C library's, which not every build links. */
#ifndef KSR_FUNCTIONS_H_
#define KSR_FUNCTIONS_H_
/* Sources: functions.c */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* e^x with a relative error of about 1e-7; x is clamped to -87 and 87. */
float ksr_exponential(float x);
/* The natural logarithm; minus infinity unless x is positive. */
float ksr_logarithm(float x);
/* 1 / sqrt(x), infinite unless x is positive; and sqrt(x), 0 unless x is positive. */
float ksr_inverse_root(float x);
float ksr_square_root(float x);

/* The nearest integer, clamped to `low` and `high`. */
int32_t ksr_rounded(float x, int32_t low, int32_t high);

#ifdef __cplusplus
}
#endif

#endif /* KSR_FUNCTIONS_H_ */
