/* The window of a convolution or a pooling, which moves over images, for models in plain C. */
#ifndef KSR_PATCH_H_
#define KSR_PATCH_H_
/* Sources: patch.c */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksr_window {
  int32_t x_height, x_width, y_height, y_width;
  int32_t height, width; /* of the window */
  int32_t row_stride, column_stride, row_dilation, column_dilation;
  int32_t top, left; /* rows of padding above x, columns to the left of it */
  int32_t bytes;     /* of all channels at a position of x */
} ksr_window;

/* Returns the values (height, width, channels) of x, (images, x_height, x_width, channels), from which a position of y
 * is computed. They are copied to `to` unless they are contiguous; `absent` holds the channels of a position outside
 * x. */
const void *ksr_patch(const ksr_window *window, int32_t place, const void *x, const void *absent, void *to);

/* The number of positions of a patch that are inside x. */
int32_t ksr_present(const ksr_window *window, int32_t place);

#ifdef __cplusplus
}
#endif

#endif /* KSR_PATCH_H_ */
