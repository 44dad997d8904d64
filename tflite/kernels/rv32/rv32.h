/* RV32 with products (M): ESP32-C3, ESP32-C6 and their kin. */
#ifndef KSR_RV32_H_
#define KSR_RV32_H_

#define KSR_RV32 1
#define ksr_multiply_i8 ksr_multiply_i8_rv32       /* rv32/multiply.c */
#define ksr_multiply_i16 ksr_multiply_i16_rv32     /* rv32/multiply.c */
#define ksr_multiply_4_i8 ksr_multiply_4_i8_rv32   /* rv32/multiply_4.c */
#define ksr_multiply_4_i16 ksr_multiply_4_i16_rv32 /* rv32/multiply_4.c */

#endif /* KSR_RV32_H_ */
