/* What convolutions and pooling look at, for models in plain C: a window that moves over images. */
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
  int32_t top, left; /* rows and columns of padding in front of x */
  int32_t bytes;     /* of all channels at a place of x */
} ksr_window;

/* The values (height, width, channels) of x, (images, x_height, x_width, channels), that a place of y is computed from.
 * They are copied to `to` where they do not lie side by side; `absent` are the channels of a place outside of x. */
const void *ksr_patch(const ksr_window *window, int32_t place, const void *x, const void *absent, void *to);

/* How many places of a patch lie inside of x. */
int32_t ksr_present(const ksr_window *window, int32_t place);

#ifdef __cplusplus
}
#endif

#endif /* KSR_PATCH_H_ */
