/* A model with recorded inputs and its expected outputs. */
#ifndef KSR_CHECK_H_
#define KSR_CHECK_H_

#include <stdint.h>

typedef struct ksr_program {
  const char *name;
  int (*init)(void);
  void (*reset)(void);
  void (*call)(const uint8_t *x, uint8_t *y);
  const uint8_t *inputs, *outputs; /* of all calls, one after the other; each tensor begins at a multiple of 16 */
  int32_t input_bytes, output_bytes; /* of a call */
  int32_t calls, calls_per_sequence; /* each sequence starts from a clear state */
} ksr_program;

extern const ksr_program ksr_programs[];
extern const int32_t ksr_program_count;

/* For the outputs of a call. */
extern uint8_t ksr_output[];

#if defined(__arm__)
#define KSR_STACK_POINTER(at) __asm__ volatile("mov %0, sp" : "=r"(at))
#elif defined(__riscv)
#define KSR_STACK_POINTER(at) __asm__ volatile("mv %0, sp" : "=r"(at))
#endif

/* Comes first in `init` and `call`: from here on, the stack belongs to the model. */
#ifdef KSR_STACK_POINTER
extern uint8_t *ksr_stack_begin;
#define KSR_STACK_BEGIN() KSR_STACK_POINTER(ksr_stack_begin)
#else
#define KSR_STACK_BEGIN() ((void)0)
#endif

#endif /* KSR_CHECK_H_ */
