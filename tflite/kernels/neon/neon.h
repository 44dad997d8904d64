/* arm64: NEON, which each of them has; where the compiler is told of it (-march=armv8.2-a+dotprod; Apple's always is),
 * SDOT. */
#ifndef KSR_NEON_H_
#define KSR_NEON_H_

#define KSR_NEON 1
#define ksr_add_events_i8 ksr_add_events_i8_neon /* neon/add_events.c */
#define ksr_multiply_i8 ksr_multiply_i8_neon     /* neon/multiply.c */
#define ksr_multiply_i16 ksr_multiply_i16_neon   /* neon/multiply.c */

#endif /* KSR_NEON_H_ */
