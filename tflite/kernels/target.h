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

/* A function of which the compiler makes one body for each set of vector instructions, chosen when the library is loaded;
 * by GNU's C library alone. Without fused multiply-add, all give the same bits. */
#include <stdint.h> /* says which C library it is */
#if defined(KSR_X86) && defined(__GLIBC__)
#define KSR_CLONED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define KSR_CLONED
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
