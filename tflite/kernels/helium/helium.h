/* The M-profile vector extension: Cortex-M55, M85. What has no body here has that of the DSP extension. */
#ifndef KSR_HELIUM_H_
#define KSR_HELIUM_H_

#include "dsp/dsp.h"

#define KSR_HELIUM 1
#undef ksr_add_events_i8
#undef ksr_add_vector_i8
#undef ksr_multiply_i8
#undef ksr_multiply_i16
#undef ksr_multiply_4_i8
#undef ksr_multiply_blocks_i8
#undef ksr_multiply_blocks_i16
#undef ksr_events_of
#undef ksr_events_send
#undef ksr_events_read
#undef ksr_hold_inputs
#undef ksr_hold_states
#undef ksr_write_states_i8
#undef ksr_fill_i8
#undef ksr_scale_i32
#define ksr_add_events_i8 ksr_add_events_i8_helium /* helium/add_events.c helium/add_dense.c */
#define ksr_add_vector_i8 ksr_add_vector_i8_helium /* helium/add_events.c helium/add_dense.c */
#define ksr_multiply_i8 ksr_multiply_i8_helium     /* helium/multiply.c */
#define ksr_multiply_i16 ksr_multiply_i16_helium   /* helium/multiply_wide.c */
#define ksr_multiply_4_i8 ksr_multiply_4_i8_helium /* helium/multiply_4.c */
#define ksr_multiply_blocks_i8 ksr_multiply_blocks_i8_helium /* helium/multiply_blocks.c */
#define ksr_multiply_blocks_i16 ksr_multiply_blocks_i16_helium /* helium/multiply_blocks.c */
#define ksr_events_of ksr_events_of_helium         /* helium/events.c */
#define ksr_events_send ksr_events_send_helium     /* helium/events.c */
#define ksr_events_read ksr_events_read_helium     /* helium/events.c */
#define ksr_hold_inputs ksr_hold_inputs_helium     /* helium/holds.c */
#define ksr_hold_states ksr_hold_states_helium     /* helium/holds.c */
#define ksr_write_states_i8 ksr_write_states_i8_helium /* helium/write_states.c */
#define ksr_fill_i8 ksr_fill_i8_helium             /* helium/vectors.c */
#define ksr_scale_i32 ksr_scale_i32_helium         /* helium/vectors.c */
#if !KSR_SMALL
#define ksr_gru_units_i16 ksr_gru_units_i16_helium /* helium/units_i16.c */
#define ksr_light_gru_units_i16 ksr_light_gru_units_i16_helium /* helium/units_i16.c */
#define ksr_lstm_units_i16 ksr_lstm_units_i16_helium /* helium/units_i16.c */
#define ksr_write_states_i16 ksr_write_states_i16_helium /* helium/units_i16.c */
#undef ksr_gru_units_i8
#undef ksr_light_gru_units_i8
#undef ksr_lstm_units_i8
#define ksr_gru_units_i8 ksr_gru_units_i8_helium   /* helium/gru_units.c */
#define ksr_light_gru_units_i8 ksr_light_gru_units_i8_helium /* helium/gru_units.c */
#define ksr_lstm_units_i8 ksr_lstm_units_i8_helium /* helium/lstm_units.c */
#endif

#endif /* KSR_HELIUM_H_ */
