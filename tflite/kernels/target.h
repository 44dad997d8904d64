/* Chooses the implementations of the kernels at compile time. This is the only place that does.
 *
 * Each kernel that a target may implement has one prototype, in the header named after its task. The header of a
 * target maps this name to its own function (`#define ksr_fill_i8 ksr_fill_i8_dsp`), and lists the files with the
 * function in the same line. portable.h does so for all others. KSR_PORTABLE selects plain C only. */
#ifndef KSR_TARGET_H_
#define KSR_TARGET_H_

#include "ksr_build.h"

#if defined(KSR_PORTABLE) || !defined(__GNUC__)
#elif defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#include "helium/helium.h"
#elif defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#include "dsp/dsp.h"
#elif defined(__thumb__)
#include "thumb/thumb.h"
#elif defined(__riscv) && __riscv_xlen == 32 && defined(__riscv_mul)
#include "rv32/rv32.h"
#elif defined(__x86_64__)
#include "x86/x86.h"
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include "neon/neon.h"
#endif
#include "portable/portable.h"

#ifdef __GNUC__
#define KSR_INLINE static inline __attribute__((always_inline))
#define KSR_RARELY(condition) __builtin_expect(!!(condition), 0) /* a test that hardly ever holds */
#else
#define KSR_INLINE static inline
#define KSR_RARELY(condition) (condition)
#endif

#endif /* KSR_TARGET_H_ */
