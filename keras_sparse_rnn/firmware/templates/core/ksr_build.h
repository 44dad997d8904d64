/* How this project's kernels are built; made by keras-sparse-rnn {{ version }}. */
#ifndef KSR_BUILD_H_
#define KSR_BUILD_H_

#define KSR_WITH_FLOAT32 {{ 1 if "f32" in formats else 0 }}
#define KSR_WITH_INT16 {{ 1 if "i16" in formats else 0 }}

/* A symbol of the kernels that every model refers to: a program with the kernels of two releases does not link. */
#define KSR_CORE {{ core_symbol }}

#endif /* KSR_BUILD_H_ */
