/* Plain C: what the target has no body for. */
#ifndef KSR_PORTABLE_H_
#define KSR_PORTABLE_H_

#ifndef ksr_add_events_i8
#define ksr_add_events_i8 ksr_add_events_i8_portable /* portable/add_events.c */
#endif
#ifndef ksr_add_vector_i8
#define ksr_add_vector_i8 ksr_add_vector_i8_portable /* portable/add_events.c */
#endif
#ifndef ksr_add_events_4
#define ksr_add_events_4 ksr_add_events_4_portable /* portable/add_events_4.c */
#endif
#ifndef ksr_add_vector_4
#define ksr_add_vector_4 ksr_add_vector_i8_portable /* portable/add_events.c */
#endif
#ifndef ksr_multiply_4_i8
#define ksr_multiply_4_i8 ksr_multiply_4_i8_portable /* portable/multiply_4.c */
#endif
#ifndef ksr_multiply_4_i16
#define ksr_multiply_4_i16 ksr_multiply_4_i16_portable /* portable/multiply_4.c */
#endif
#ifndef ksr_multiply_i8
#define ksr_multiply_i8 ksr_multiply_i8_portable /* portable/multiply.c */
#endif
#ifndef ksr_multiply_i16
#define ksr_multiply_i16 ksr_multiply_i16_portable /* portable/multiply.c */
#endif
#ifndef ksr_multiply_blocks_i8
#define ksr_multiply_blocks_i8 ksr_multiply_blocks_i8_portable /* portable/multiply_blocks.c */
#endif
#ifndef ksr_multiply_blocks_i16
#define ksr_multiply_blocks_i16 ksr_multiply_blocks_i16_portable /* portable/multiply_blocks.c */
#endif
#ifndef ksr_events_of
#define ksr_events_of ksr_events_of_portable /* portable/events.c */
#endif
#ifndef ksr_events_send
#define ksr_events_send ksr_events_send_portable /* portable/events.c */
#endif
#ifndef ksr_events_read
#define ksr_events_read ksr_events_read_portable /* portable/events.c */
#endif
#ifndef ksr_hold_inputs
#define ksr_hold_inputs ksr_hold_inputs_portable /* portable/holds.c */
#endif
#ifndef ksr_hold_states
#define ksr_hold_states ksr_hold_states_portable /* portable/holds.c */
#endif
#ifndef ksr_gru_units_i8
#define ksr_gru_units_i8 ksr_gru_units_i8_portable /* portable/gru_units.c */
#endif
#ifndef ksr_light_gru_units_i8
#define ksr_light_gru_units_i8 ksr_light_gru_units_i8_portable /* portable/gru_units.c */
#endif
#ifndef ksr_lstm_units_i8
#define ksr_lstm_units_i8 ksr_lstm_units_i8_portable /* portable/lstm_units.c */
#endif
#ifndef ksr_write_states_i8
#define ksr_write_states_i8 ksr_write_states_i8_portable /* portable/gru_units.c */
#endif
#ifndef ksr_gru_units_i16
#define ksr_gru_units_i16 ksr_gru_units_i16_portable /* portable/units_i16.c */
#endif
#ifndef ksr_light_gru_units_i16
#define ksr_light_gru_units_i16 ksr_light_gru_units_i16_portable /* portable/units_i16.c */
#endif
#ifndef ksr_lstm_units_i16
#define ksr_lstm_units_i16 ksr_lstm_units_i16_portable /* portable/units_i16.c */
#endif
#ifndef ksr_write_states_i16
#define ksr_write_states_i16 ksr_write_states_i16_portable /* portable/units_i16.c */
#endif
#ifndef ksr_copy_words
#define ksr_copy_words ksr_copy_words_portable /* portable/vectors.c */
#endif
#ifndef ksr_fill_i8
#define ksr_fill_i8 ksr_fill_i8_portable /* portable/vectors.c */
#endif
#ifndef ksr_scale_i32
#define ksr_scale_i32 ksr_scale_i32_portable /* portable/vectors.c */
#endif

/* KSR_CLONED(void name, body, parameters, arguments) defines `name` as a call of `body`, which is KSR_INLINE: where
 * there are sets of vector instructions, once for each, of which the processor's best is taken when it runs. Without
 * fused multiply-add, all give the same bits. */
#ifndef KSR_CLONED
#define KSR_CLONED(function, body, parameters, arguments) function parameters { body arguments; }
#endif

#endif /* KSR_PORTABLE_H_ */
