/* The instructions between which the plugin count_instructions.c counts; they do nothing. KSR_NO_MARKS leaves
 * them out. */
#ifndef KSR_MARKS_H_
#define KSR_MARKS_H_

#if defined(__arm__) && !defined(KSR_NO_MARKS)
#define KSR_COUNT_BEGIN() __asm__ volatile("mov r10, r10" ::: "memory")
#define KSR_COUNT_END() __asm__ volatile("mov r11, r11" ::: "memory")
#define KSR_COUNT_PART() __asm__ volatile("mov r9, r9" ::: "memory")
#else
#define KSR_COUNT_BEGIN() ((void)0)
#define KSR_COUNT_END() ((void)0)
#define KSR_COUNT_PART() ((void)0)
#endif

#endif /* KSR_MARKS_H_ */
