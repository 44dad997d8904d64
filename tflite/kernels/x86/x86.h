/* x86-64: SSE2, which each of them has, and AVX2 and AVX-512 where the processor says so when it runs. */
#ifndef KSR_X86_H_
#define KSR_X86_H_

#define KSR_X86 1
#define ksr_add_events_i8 ksr_add_events_i8_x86 /* x86/add_events.c */
#define ksr_multiply_i8 ksr_multiply_i8_x86     /* x86/multiply.c */
#define ksr_multiply_i16 ksr_multiply_i16_x86   /* x86/multiply.c */

#define KSR_CLONED(function, body, parameters, arguments)                                     \
  __attribute__((target("avx512f"))) static void body##_avx512 parameters { body arguments; } \
  __attribute__((target("avx2"))) static void body##_avx2 parameters { body arguments; }      \
  function parameters {                                                                       \
    if (__builtin_cpu_supports("avx512f")) {                                                  \
      body##_avx512 arguments;                                                                \
    } else if (__builtin_cpu_supports("avx2")) {                                              \
      body##_avx2 arguments;                                                                  \
    } else {                                                                                  \
      body arguments;                                                                         \
    }                                                                                         \
  }

#endif /* KSR_X86_H_ */
