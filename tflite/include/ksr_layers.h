/* The layers around recurrent ones, for models in plain C without an interpreter.
 *
 * Quantized values are `(stored - zero point) * scale`. Multipliers, tables, and biases that include the zero points
 * are computed when the model is written. */
#ifndef KSR_LAYERS_H_
#define KSR_LAYERS_H_
/* Sources: layers_i8.c KSR_WITH_INT16:layers_i16.c KSR_WITH_FLOAT32:layers_f32.c */

#include "ksr_matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rounds value * multiplier / 2^shift to nearest; shift 1 to 62. */
typedef struct ksr_scaling {
  int32_t multiplier;
  int32_t shift;
} ksr_scaling;

/* y = x W' + b, for rows of x. */
typedef struct ksr_dense {
  ksr_matrix kernel; /* int8 x: by outputs, padded to a multiple of 4; int16 x: values (outputs, inputs) */
  const int32_t *bias; /* includes the contribution of the zero point of x; padded likewise */
  int32_t *sums;       /* int8 x: memory for the outputs, padded likewise */
  const ksr_scaling *scaling;
  int32_t scalings; /* 1 for all outputs, or one per output */
  int32_t outputs;
  int32_t zero_point, low, high; /* zero point of y, and its range, which includes a ReLU */
} ksr_dense;

void ksr_dense_i8(const ksr_dense *dense, const int8_t *x, int32_t rows, int8_t *y);
/* int16 has the zero point 0. */
void ksr_dense_i16(const ksr_dense *dense, const int16_t *x, int32_t rows, int16_t *y);
void ksr_dense_f32(const float *weights, const float *bias, int32_t inputs, int32_t outputs, float low, float high,
                   const float *x, int32_t rows, float *y);

/* y = x w + b for each channel. x is a patch (sources, outputs / multiplier), and the values of the kernel are
 * (sources, outputs). */
void ksr_depthwise_i8(const ksr_dense *dense, int32_t multiplier, const int8_t *x, int8_t *y);
void ksr_depthwise_i16(const ksr_dense *dense, int32_t multiplier, const int16_t *x, int16_t *y);
void ksr_depthwise_f32(const float *weights, const float *bias, int32_t inputs, int32_t outputs, float low, float high,
                       int32_t multiplier, const float *x, float *y);

/* `count` consecutive products of matrices (rows, inner) and (inner, columns); the steps are distances in values. */
typedef struct ksr_matmul {
  int32_t count, rows, inner, columns;
  int32_t a_step, a_row, a_column, b_step, b_row, b_column;
  int32_t a_zero_point, b_zero_point, zero_point;
  ksr_scaling scaling;
} ksr_matmul;

void ksr_matmul_i8(const ksr_matmul *matmul, const int8_t *a, const int8_t *b, int8_t *y);
void ksr_matmul_i16(const ksr_matmul *matmul, const int16_t *a, const int16_t *b, int16_t *y);
void ksr_matmul_f32(const ksr_matmul *matmul, const float *a, const float *b, float *y);

/* Any function of one value: table[128 + x]. */
void ksr_look_up_i8(const int8_t table[256], const int8_t *x, int32_t count, int8_t *y);

/* x times a scale, clamped to `low` and `high`, which includes a ReLU. */
void ksr_scale_i16(ksr_scaling scaling, int32_t low, int32_t high, const int16_t *x, int32_t count, int16_t *y);

/* coarse[k]: 2^30 exp(-256 k * scale of x), fine[k]: 2^30 exp(-k * scale of x); for tanh, twice the scale of x. y has
 * the scale 2^-15. */
void ksr_logistic_i16(const uint32_t coarse[129], const uint32_t fine[256], const int16_t *x, int32_t count,
                      int16_t *y);
void ksr_tanh_layer_i16(const uint32_t coarse[129], const uint32_t fine[256], const int16_t *x, int32_t count,
                        int16_t *y);

/* x clamped to `low` and `high`: a ReLU. */
void ksr_clip_f32(float low, float high, const float *x, int32_t count, float *y);
void ksr_logistic_f32(const float *x, int32_t count, float *y);
void ksr_tanh_f32(const float *x, int32_t count, float *y);

/* exponentials[k]: 2^24 exp(-k * scale of x * beta). y has the scale 1/256 and the zero point -128. */
void ksr_softmax_i8(const uint32_t exponentials[256], const int8_t *x, int32_t rows, int32_t classes, int8_t *y);
/* coarse[k]: 2^30 exp(-256 k * scale of x * beta), fine[k]: 2^30 exp(-k * ..). y has the scale 2^-15. */
void ksr_softmax_i16(const uint32_t coarse[256], const uint32_t fine[256], const int16_t *x, int32_t rows,
                     int32_t classes, int16_t *y);
void ksr_softmax_f32(float beta, const float *x, int32_t rows, int32_t classes, float *y);

/* The mean, or the sum, along the middle one of three axes. */
void ksr_mean_i8(ksr_scaling scaling, int32_t x_zero_point, int32_t y_zero_point, const int8_t *x, int32_t outer,
                 int32_t count, int32_t inner, int8_t *y);
void ksr_mean_i16(ksr_scaling scaling, const int16_t *x, int32_t outer, int32_t count, int32_t inner, int16_t *y);
void ksr_mean_f32(const float *x, int32_t outer, int32_t count, int32_t inner, float *y);
void ksr_sum_f32(const float *x, int32_t outer, int32_t count, int32_t inner, float *y);

/* The largest value along the middle one of three axes. */
void ksr_most_i8(const int8_t *x, int32_t outer, int32_t count, int32_t inner, int8_t *y);
void ksr_most_i16(const int16_t *x, int32_t outer, int32_t count, int32_t inner, int16_t *y);
void ksr_most_f32(const float *x, int32_t outer, int32_t count, int32_t inner, float *y);

#ifdef __cplusplus
}
#endif

#endif /* KSR_LAYERS_H_ */
