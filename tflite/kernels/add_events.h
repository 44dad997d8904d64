/* The loops in which sparse layers spend their time: adding the rows of an int8 matrix. */
#ifndef KSR_ADD_EVENTS_H_
#define KSR_ADD_EVENTS_H_

#include "diagonal.h"
#include "ksr_matrix.h"
#include "target.h"

/* acc[column] += value * weight for everything that the events' sources feed. */
void ksr_add_events_i8(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);

/* acc += (x - zero_point) * factor * matrix, for the sources `first` to `first + count - 1`; x points at the first one.
 * Products of the first two fit int16. */
void ksr_add_vector_i8(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t zero_point,
                       int32_t factor, int32_t *acc);

/* Any matrix, in plain C. */
void ksr_add_events_i8_portable(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);
void ksr_add_vector_i8_portable(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                int32_t zero_point, int32_t factor, int32_t *acc);

/* Dense ones. */
void ksr_add_dense_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);
void ksr_add_dense_4_dsp(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);
void ksr_add_dense_helium(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);

/* Weights of 4 bits. */
void ksr_add_events_4(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);
void ksr_add_vector_4(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count, int32_t zero_point,
                      int32_t factor, int32_t *acc);
void ksr_add_events_4_portable(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc);

/* Weights of either size, without those of a diagonal that is stored apart. */
static inline void ksr_add_rows(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end, int32_t *acc) {
  if (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix)) {
    ksr_add_events_4(matrix, event, end, acc);
  } else {
    ksr_add_events_i8(matrix, event, end, acc);
  }
}

static inline void ksr_add_events(const ksr_matrix *matrix, const ksr_event *event, const ksr_event *end,
                                  int32_t *acc) {
  ksr_add_rows(matrix, event, end, acc);
  if (KSR_WITH_DIAGONAL && ksr_has_diagonal(matrix)) ksr_add_diagonal_i8(matrix, event, end, acc);
}

static inline void ksr_add_vector(const ksr_matrix *matrix, const int8_t *x, int32_t first, int32_t count,
                                  int32_t zero_point, int32_t factor, int32_t *acc) {
  if (KSR_WITH_WEIGHTS_4 && ksr_has_weights_of_4_bits(matrix)) {
    ksr_add_vector_4(matrix, x, first, count, zero_point, factor, acc);
  } else {
    ksr_add_vector_i8(matrix, x, first, count, zero_point, factor, acc);
  }
  if (KSR_WITH_DIAGONAL && ksr_has_diagonal(matrix)) {
    ksr_add_vector_diagonal_i8(matrix, x, first, count, zero_point, factor, acc);
  }
}

/* One source; `value` fits into int16. */
static inline void ksr_add_event(const ksr_matrix *matrix, int32_t source, int32_t value, int32_t *acc) {
  const ksr_event event = {(uint16_t)source, (int16_t)value};
  ksr_add_events(matrix, &event, &event + 1, acc);
}

#endif /* KSR_ADD_EVENTS_H_ */
