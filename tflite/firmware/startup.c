/* From reset to main: memory, on a Cortex-M its floating point and vector unit, and a fault that ends the run. */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t stack_top, data_load, data_begin, data_end, bss_begin, bss_end;
int main(void);

__attribute__((used)) static void start(void) {
  const uint32_t *from = &data_load;
  for (uint32_t *to = &data_begin; to != &data_end;) *to++ = *from++;
  for (uint32_t *to = &bss_begin; to != &bss_end;) *to++ = 0;
  exit_with(main());
}

#ifdef __riscv

__attribute__((used, aligned(4))) static void fault(void) {
  print("fault\n");
  exit_with(100);
}

/* Comes first in memory, where the board starts. */
__attribute__((section(".vectors"), naked)) void reset(void) {
  __asm__ volatile(
      ".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
      "la sp, stack_top\n"
      "la t0, fault\n"
      ".option push\n.option arch, +zicsr\ncsrw mtvec, t0\n.option pop\n"
      "j start");
}

#else

void reset(void) {
#if __ARM_ARCH_PROFILE == 'M' && (defined(__ARM_FP) || defined(__ARM_FEATURE_MVE))
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: the floating point and vector unit on */
  __asm__ volatile("dsb\n isb");
#endif
  start();
}

static void fault(void) {
  print("fault\n");
  exit_with(100);
}

__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vectors = {&stack_top, {reset, fault, fault, fault, fault, fault}};

#endif
