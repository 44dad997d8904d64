/* Output and exit through the debugger, here QEMU ("Semihosting for AArch32 and AArch64", Arm IHI 0042; "RISC-V
 * Semihosting" takes its operations over). */
#ifndef KSR_SEMIHOSTING_H_
#define KSR_SEMIHOSTING_H_

#include <stdint.h>

#ifdef __riscv
static inline int32_t semihosting(int32_t operation, const void *argument) {
  register int32_t a0 __asm__("a0") = operation;
  register const void *a1 __asm__("a1") = argument;
  /* None of the three may be compressed, and all must lie in one page. */
  __asm__ volatile(
      ".option push\n.option norvc\n.balign 16\nslli zero, zero, 0x1f\nebreak\nsrai zero, zero, 7\n.option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return a0;
}
#else
static inline int32_t semihosting(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
#endif

static inline void print(const char *text) { semihosting(0x04, text); }

__attribute__((noreturn)) static inline void exit_with(int32_t code) {
  const int32_t reason[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
  for (;;) semihosting(0x20, reason);
}

#endif /* KSR_SEMIHOSTING_H_ */
