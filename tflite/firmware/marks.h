/* The instructions between which the plugin count_instructions.c counts; they do nothing. KSR_NO_MARKS leaves
 * them out. */
#ifndef KSR_MARKS_H_
#define KSR_MARKS_H_

#ifdef KSR_NO_MARKS
#define KSR_MARK(arm, riscv) ((void)0)
#elif defined(__arm__)
#define KSR_MARK(arm, riscv) __asm__ volatile(arm ::: "memory")
#elif defined(__riscv)
#define KSR_MARK(arm, riscv) __asm__ volatile(riscv ::: "memory")
#else
#define KSR_MARK(arm, riscv) ((void)0)
#endif

#define KSR_COUNT_BEGIN() KSR_MARK("mov r10, r10", "slti zero, zero, 1")
#define KSR_COUNT_END() KSR_MARK("mov r11, r11", "slti zero, zero, 2")
#define KSR_COUNT_PART() KSR_MARK("mov r9, r9", "slti zero, zero, 3")

#endif /* KSR_MARKS_H_ */
