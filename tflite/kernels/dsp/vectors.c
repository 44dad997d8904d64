/* Loads and stores of many registers, and products of 32 by 16 bits. */
#include "vectors.h"

#ifdef KSR_DSP

#include <string.h>

void ksr_copy_words_dsp(int32_t *to, const int32_t *from, int32_t count) {
  for (const int32_t *end = from + count; from < end;) {
    __asm__ volatile(
        "ldm %0!, {r4-r6, r8-r12}\n stm %1!, {r4-r6, r8-r12}\n"
        "ldm %0!, {r4-r6, r8-r12}\n stm %1!, {r4-r6, r8-r12}"
        : "+r"(from), "+r"(to)::"r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "memory");
  }
}

void ksr_fill_i8_dsp(int8_t *to, int8_t value, int32_t count) {
  if (((uintptr_t)to & 3u) == 0) {
    const uint32_t four = (uint8_t)value * 0x01010101u;
    for (; count >= 64; count -= 64) {
      __asm__ volatile(
          "mov r4, %1\n mov r5, %1\n mov r6, %1\n mov r8, %1\n stm %0!, {r4-r6, r8}\n stm %0!, {r4-r6, r8}\n"
          "stm %0!, {r4-r6, r8}\n stm %0!, {r4-r6, r8}"
          : "+r"(to) : "r"(four) : "r4", "r5", "r6", "r8", "memory");
    }
    for (; count >= 32; count -= 32) {
      __asm__ volatile("mov r4, %1\n mov r5, %1\n mov r6, %1\n mov r8, %1\n stm %0!, {r4-r6, r8}\n stm %0!, {r4-r6, r8}"
                       : "+r"(to) : "r"(four) : "r4", "r5", "r6", "r8", "memory");
    }
  }
  if (count) memset(to, value, (uint32_t)count);
}

void ksr_scale_i32_dsp(int32_t *acc, const int16_t *scale, int32_t count) {
  for (const int32_t *end = acc + count; acc < end;) {
    __asm__ volatile(
        "ldm %0, {r4-r6, r8}\n ldm %1!, {r9-r10}\n"
        "smulwb r4, r4, r9\n smulwt r5, r5, r9\n smulwb r6, r6, r10\n smulwt r8, r8, r10\n"
        "stm %0!, {r4-r6, r8}"
        : "+r"(acc), "+r"(scale)::"r4", "r5", "r6", "r8", "r9", "r10", "memory");
  }
}

#endif /* KSR_DSP */
