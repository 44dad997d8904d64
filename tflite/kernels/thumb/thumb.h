/* Thumb: Cortex-M0, M0+, M23 and M3. */
#ifndef KSR_THUMB_H_
#define KSR_THUMB_H_

#define KSR_THUMB 1
#define ksr_multiply_i8 ksr_multiply_i8_thumb   /* thumb/multiply.c */
#define ksr_multiply_i16 ksr_multiply_i16_thumb /* thumb/multiply.c */
#define ksr_copy_words ksr_copy_words_thumb     /* thumb/vectors.c */

/* The first of them have eight registers for arithmetic, and no products that accumulate. */
#if __ARM_ARCH_ISA_THUMB == 1
#define KSR_THUMB1 1
#define ksr_add_events_i8 ksr_add_events_i8_thumb /* thumb/add_events.c */
#endif

/* SSAT and USAT, from Cortex-M3 on. */
#ifdef __ARM_FEATURE_SAT
#define KSR_SATURATES 1
#endif

#endif /* KSR_THUMB_H_ */
