#include "ksr_patch.h"

#include <string.h>

typedef struct corner {
  int32_t image, row, column;
} corner;

/* Where the window begins. */
static corner corner_of(const ksr_window *window, int32_t place) {
  const int32_t places = window->y_height * window->y_width, within = place % places;
  return (corner){place / places, within / window->y_width * window->row_stride - window->top,
                  within % window->y_width * window->column_stride - window->left};
}

static int is_inside(const ksr_window *window, int32_t row, int32_t column) {
  return row >= 0 && row < window->x_height && column >= 0 && column < window->x_width;
}

const void *ksr_patch(const ksr_window *window, int32_t place, const void *x, const void *absent, void *to) {
  const corner at = corner_of(window, place);
  const size_t bytes = (size_t)window->bytes, row_bytes = bytes * (size_t)window->x_width;
  const uint8_t *image = (const uint8_t *)x + row_bytes * (size_t)(at.image * window->x_height);
  if (window->height == 1 && window->column_dilation == 1 && is_inside(window, at.row, at.column) &&
      at.column + window->width <= window->x_width) {
    return image + row_bytes * (size_t)at.row + bytes * (size_t)at.column;
  }
  uint8_t *next = to;
  for (int32_t i = 0; i < window->height; ++i) {
    const int32_t row = at.row + i * window->row_dilation;
    for (int32_t j = 0; j < window->width; ++j, next += bytes) {
      const int32_t column = at.column + j * window->column_dilation;
      const int inside = is_inside(window, row, column);
      memcpy(next, inside ? image + row_bytes * (size_t)row + bytes * (size_t)column : absent, bytes);
    }
  }
  return to;
}

int32_t ksr_present(const ksr_window *window, int32_t place) {
  const corner at = corner_of(window, place);
  int32_t count = 0;
  for (int32_t i = 0; i < window->height; ++i) {
    for (int32_t j = 0; j < window->width; ++j) {
      count += is_inside(window, at.row + i * window->row_dilation, at.column + j * window->column_dilation);
    }
  }
  return count;
}
