/* Chooses the bodies of the kernels, when they are compiled and here alone.
 *
 * Each kernel that a target may have a body of its own for has one prototype, in the header named after what it does.
 * The header of a target gives the name of that prototype to its own function (`#define ksr_fill_i8 ksr_fill_i8_dsp`)
 * and says in the same line which files hold it. portable.h does so for what is left. KSR_PORTABLE asks for plain C
 * alone. */
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
