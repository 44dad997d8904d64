/* Which instructions the compiler may use: decides between the bodies of a kernel. KSR_PORTABLE asks for plain C. */
#ifndef KSR_TARGET_H_
#define KSR_TARGET_H_

#if !defined(KSR_PORTABLE) && defined(__GNUC__)
#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#define KSR_HELIUM 1 /* Cortex-M55, M85; where a kernel has no body for it, that for the DSP extension serves */
#endif
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define KSR_DSP 1 /* Cortex-M4, M7, M33, and those above */
#elif defined(__x86_64__)
#define KSR_X86 1
#endif
#endif

/* KSR_CLONED(void name, body, parameters, arguments) defines `name` as a call of `body`, which is KSR_INLINE: compiled
 * once for each set of vector instructions, of which the processor's best one is taken. Without fused multiply-add, all
 * give the same bits. */
#ifdef __GNUC__
#define KSR_INLINE static inline __attribute__((always_inline))
#else
#define KSR_INLINE static inline
#endif
#ifdef KSR_X86
#define KSR_CLONED(function, body, parameters, arguments)                              \
  __attribute__((target("avx512f"))) static void body##_avx512 parameters { body arguments; } \
  __attribute__((target("avx2"))) static void body##_avx2 parameters { body arguments; }      \
  function parameters {                                                                \
    if (__builtin_cpu_supports("avx512f")) {                                           \
      body##_avx512 arguments;                                                         \
    } else if (__builtin_cpu_supports("avx2")) {                                       \
      body##_avx2 arguments;                                                           \
    } else {                                                                           \
      body arguments;                                                                  \
    }                                                                                  \
  }
#else
#define KSR_CLONED(function, body, parameters, arguments) function parameters { body arguments; }
#endif

/* Loads and stores of many registers, from Cortex-M0 on. */
#if !defined(KSR_PORTABLE) && defined(__GNUC__) && defined(__thumb__)
#define KSR_THUMB 1
#if __ARM_ARCH_ISA_THUMB == 1
#define KSR_THUMB1 1 /* Cortex-M0, M0+ and M23 */
#endif
#endif

/* Cortex-M0, M0+ and M23 have no product of 64 bits. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define KSR_SHORT_PRODUCT 1
#endif

/* SSAT and USAT, from Cortex-M3 on. */
#if !defined(KSR_PORTABLE) && defined(__GNUC__) && defined(__ARM_FEATURE_SAT)
#define KSR_SATURATES 1
#endif

/* A test that hardly ever holds. */
#ifdef __GNUC__
#define KSR_RARELY(condition) __builtin_expect(!!(condition), 0)
#else
#define KSR_RARELY(condition) (condition)
#endif

#endif /* KSR_TARGET_H_ */
