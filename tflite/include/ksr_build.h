/* Selects the kernels that are built. Firmware of an int8 model omits those for float32 and for int16 activations, and
 * those for activation functions and matrix formats that the model does not use. */
#ifndef KSR_BUILD_H_
#define KSR_BUILD_H_

#ifndef KSR_WITH_FLOAT32
#define KSR_WITH_FLOAT32 1
#endif

#ifndef KSR_WITH_INT16
#define KSR_WITH_INT16 1
#endif

/* Recurrent layers with tanh, their gates sigmoid, and those with other activations, of which each file has a
 * switch. */
#ifndef KSR_WITH_USUAL_GATES
#define KSR_WITH_USUAL_GATES 1
#endif

#ifndef KSR_WITH_OTHER_GATES
#define KSR_WITH_OTHER_GATES 1
#endif

#ifndef KSR_WITH_PIECEWISE
#define KSR_WITH_PIECEWISE 1
#endif

#ifndef KSR_WITH_SOFTSIGN
#define KSR_WITH_SOFTSIGN 1
#endif

#ifndef KSR_WITH_SIGMOID
#define KSR_WITH_SIGMOID 1
#endif

#ifndef KSR_WITH_TANH
#define KSR_WITH_TANH 1
#endif

#ifndef KSR_WITH_EXPONENTIAL
#define KSR_WITH_EXPONENTIAL 1
#endif

#ifndef KSR_WITH_GELU
#define KSR_WITH_GELU 1
#endif

/* In integers: matrices in blocks of each width, and of several sources; dense ones stored by sources and by
 * outputs. */
#ifndef KSR_WITH_BLOCKS_4
#define KSR_WITH_BLOCKS_4 1
#endif

#ifndef KSR_WITH_BLOCKS_8
#define KSR_WITH_BLOCKS_8 1
#endif

#ifndef KSR_WITH_BLOCKS_16
#define KSR_WITH_BLOCKS_16 1
#endif

#ifndef KSR_WITH_HIGH_BLOCKS
#define KSR_WITH_HIGH_BLOCKS 1
#endif

#ifndef KSR_WITH_BY_SOURCES
#define KSR_WITH_BY_SOURCES 1
#endif

#ifndef KSR_WITH_BY_OUTPUTS
#define KSR_WITH_BY_OUTPUTS 1
#endif

/* Weights of 8 and of 4 bits. */
#ifndef KSR_WITH_WEIGHTS_8
#define KSR_WITH_WEIGHTS_8 1
#endif

#ifndef KSR_WITH_WEIGHTS_4
#define KSR_WITH_WEIGHTS_4 1
#endif

/* Values that are held. */
#ifndef KSR_WITH_HOLDS
#define KSR_WITH_HOLDS 1
#endif

/* Diagonals of recurrent kernels that are stored apart. */
#ifndef KSR_WITH_DIAGONAL
#define KSR_WITH_DIAGONAL 1
#endif

/* Several micro-layers in a step. */
#ifndef KSR_WITH_DEEP
#define KSR_WITH_DEEP 1
#endif

/* Kernels of low rank. */
#ifndef KSR_WITH_RANK
#define KSR_WITH_RANK 1
#endif

/* 1: less flash, more instructions. sigmoid and tanh share one table of half the entries, and kernels for a processor
 * that are larger than those in portable C are omitted. */
#ifndef KSR_SMALL
#define KSR_SMALL 0
#endif

/* A symbol of this core; see ksr.h. */
#ifndef KSR_CORE
#define KSR_CORE ksr_core
#endif

#endif /* KSR_BUILD_H_ */
