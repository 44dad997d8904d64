/* Output and exit through the debugger, here QEMU ("Semihosting for AArch32 and AArch64", Arm IHI 0042). */
#ifndef KSR_SEMIHOSTING_H_
#define KSR_SEMIHOSTING_H_

#include <stdint.h>

static inline int32_t semihosting(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static inline void print(const char *text) { semihosting(0x04, text); }

__attribute__((noreturn)) static inline void exit_with(int32_t code) {
  const int32_t reason[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
  for (;;) semihosting(0x20, reason);
}

#endif /* KSR_SEMIHOSTING_H_ */
