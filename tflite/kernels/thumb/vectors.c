/* Loads and stores of many registers. */
#include "vectors.h"

#ifdef KSR_THUMB

void ksr_copy_words_thumb(int32_t *to, const int32_t *from, int32_t count) {
  for (const int32_t *end = from + count; from < end;) {
    __asm__ volatile(
        "ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}\n ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}\n"
        "ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}\n ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}"
        : "+l"(from), "+l"(to)::"r3", "r4", "r5", "r6", "memory");
  }
}

#endif /* KSR_THUMB */
