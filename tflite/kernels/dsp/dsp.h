/* Armv7E-M and Armv8-M with the DSP extension: Cortex-M4, M7, M33, and those above. */
#ifndef KSR_DSP_H_
#define KSR_DSP_H_

#include "thumb/thumb.h"

#define KSR_DSP 1
#undef ksr_multiply_i8
#undef ksr_multiply_i16
#undef ksr_copy_words
#define ksr_add_events_i8 ksr_add_events_i8_dsp     /* dsp/add_events.c dsp/add_dense.c */
#define ksr_add_vector_i8 ksr_add_vector_i8_dsp     /* dsp/add_events.c dsp/add_dense.c */
#define ksr_add_events_4 ksr_add_events_4_dsp       /* dsp/add_events_4.c dsp/add_dense_4.c */
#define ksr_add_vector_4 ksr_add_vector_4_dsp       /* dsp/add_events_4.c dsp/add_dense_4.c */
#define ksr_multiply_4_i8 ksr_multiply_4_i8_dsp     /* dsp/multiply_4.c */
#define ksr_multiply_i8 ksr_multiply_i8_dsp         /* dsp/multiply.c */
#define ksr_multiply_i16 ksr_multiply_i16_dsp       /* dsp/multiply.c */
#define ksr_multiply_blocks_i8 ksr_multiply_blocks_i8_dsp /* dsp/multiply_blocks.c */
#define ksr_multiply_blocks_i16 ksr_multiply_blocks_i16_dsp /* dsp/multiply_blocks.c */
#define ksr_events_of ksr_events_of_dsp             /* dsp/events.c */
#define ksr_events_send ksr_events_send_dsp         /* dsp/events.c */
#define ksr_events_read ksr_events_read_dsp         /* dsp/events.c */
#define ksr_hold_inputs ksr_hold_inputs_dsp         /* dsp/holds.c */
#define ksr_hold_states ksr_hold_states_dsp         /* dsp/holds.c */
#define ksr_write_states_i8 ksr_write_states_i8_dsp /* dsp/write_states.c */
#define ksr_copy_words ksr_copy_words_dsp           /* dsp/vectors.c */
#define ksr_fill_i8 ksr_fill_i8_dsp                 /* dsp/vectors.c */
#define ksr_scale_i32 ksr_scale_i32_dsp             /* dsp/vectors.c */
#if !KSR_SMALL
#define ksr_gru_units_i8 ksr_gru_units_i8_dsp       /* dsp/gru_units.c */
#define ksr_light_gru_units_i8 ksr_light_gru_units_i8_dsp /* dsp/gru_units.c */
#define ksr_lstm_units_i8 ksr_lstm_units_i8_dsp     /* dsp/lstm_units.c */
#endif

#endif /* KSR_DSP_H_ */
