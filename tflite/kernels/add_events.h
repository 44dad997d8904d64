/* The loop in which sparse layers spend their time: adding the rows of an int8 matrix, event by event. */
#ifndef KSR_ADD_EVENTS_H_
#define KSR_ADD_EVENTS_H_

#include "ksr_matrix.h"
#include "target.h"

/* Any matrix, in plain C. */
void ksr_add_events_portable(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);

/* For some processors: returns 0, with nothing done, where the matrix is of a kind that they have no loop for. */
int ksr_add_events_dsp(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);
int ksr_add_events_helium(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);
int ksr_add_events_thumb(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);
int ksr_add_events_x86(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);

/* The same for ksr_matrix_add_vector_i8. */
int ksr_add_vector_dsp(const ksr_matrix *matrix, const int8_t *x, int32_t zero_point, int32_t factor, int32_t *acc);
int ksr_add_vector_helium(const ksr_matrix *matrix, const int8_t *x, int32_t zero_point, int32_t factor, int32_t *acc);

/* And dense matrices. */
void ksr_add_dense_dsp(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);
void ksr_add_dense_helium(const ksr_matrix *matrix, const ksr_event *events, const ksr_event *end, int32_t *acc);

#endif /* KSR_ADD_EVENTS_H_ */
