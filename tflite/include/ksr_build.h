/* Which kernels are built: firmware of an int8 model leaves those for float32, and the C library's math, and those for
 * int16 activations away. */
#ifndef KSR_BUILD_H_
#define KSR_BUILD_H_

#ifndef KSR_WITH_FLOAT32
#define KSR_WITH_FLOAT32 1
#endif

#ifndef KSR_WITH_INT16
#define KSR_WITH_INT16 1
#endif

/* A symbol of this core; see ksr.h. */
#ifndef KSR_CORE
#define KSR_CORE ksr_core
#endif

#endif /* KSR_BUILD_H_ */
