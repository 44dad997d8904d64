/* KSR_ALIGNED(bytes), before an object or after `struct`, as C99 has no keyword for alignment. Define it for a compiler
 * that has neither of the two spellings. */
#ifndef KSR_ALIGN_H_
#define KSR_ALIGN_H_

#ifndef KSR_ALIGNED
#ifdef _MSC_VER
#define KSR_ALIGNED(bytes) __declspec(align(bytes))
#else
#define KSR_ALIGNED(bytes) __attribute__((aligned(bytes)))
#endif
#endif

#endif /* KSR_ALIGN_H_ */
