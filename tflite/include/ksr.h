/* The interface of every op of keras-sparse-rnn: tensors, status, and the two calls prepare and invoke.
 *
 * An adapter (LiteRT delegate, TFLM op, firmware) finds an op by its name and allocates `data_size` bytes for each
 * node. It passes the node with its constant tensors to `prepare` (the `data` of all others is NULL until the first
 * `invoke`), allocates the scratch memory that `prepare` requests, and calls `invoke` any number of times. The core
 * allocates no memory, keeps no global state and includes only its own headers, <stdint.h> and <string.h>. */
#ifndef KSR_H_
#define KSR_H_
/* Sources: status.c */

#include <stdint.h>

#include "ksr_build.h"
#include "ksr_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The lowest 8 bits of a status are its kind, the bits above them the number of the wrong word of the custom options or
 * of the wrong input. */
#define KSR_STATUS_NAME(name, text) name,
enum { KSR_STATUS_LIST(KSR_STATUS_NAME) KSR_STATUS_COUNT };
#undef KSR_STATUS_NAME
typedef int32_t ksr_status;
#define KSR_STATUS(kind, number) ((kind) | (number) << 8)
#define KSR_KIND(status) ((status) & 0xff)
#define KSR_NUMBER(status) ((status) >> 8)

/* The meaning of a status's kind, in English; never NULL. */
const char *ksr_status_text(ksr_status status);

/* Symbols of this core: its release, and the features of ksr_build.h that it has (the others are undefined). A model's
 * source refers to those that it needs, so that a program links neither with a core that lacks one nor with two
 * cores. */
extern const unsigned char KSR_CORE, ksr_core_with_float32, ksr_core_with_int16;
extern const unsigned char ksr_core_with_usual_gates, ksr_core_with_other_gates;
extern const unsigned char ksr_core_with_piecewise, ksr_core_with_softsign, ksr_core_with_sigmoid;
extern const unsigned char ksr_core_with_tanh, ksr_core_with_exponential, ksr_core_with_gelu;
extern const unsigned char ksr_core_with_blocks_4, ksr_core_with_blocks_8, ksr_core_with_blocks_16;
extern const unsigned char ksr_core_with_high_blocks;
extern const unsigned char ksr_core_with_by_sources, ksr_core_with_by_outputs, ksr_core_with_holds;
extern const unsigned char ksr_core_with_diagonal, ksr_core_with_deep, ksr_core_with_rank;
extern const unsigned char ksr_core_with_weights_8, ksr_core_with_weights_4;

typedef enum ksr_type {
  KSR_FLOAT32 = 0,
  KSR_INT8,
  KSR_UINT8,
  KSR_INT16,
  KSR_UINT16,
  KSR_INT32,
  KSR_UINT32,
  KSR_BOOL,
  KSR_OTHER_TYPE /* no op takes it */
} ksr_type;

#define KSR_MAX_RANK 4

typedef struct ksr_tensor {
  void *data; /* NULL if the tensor is absent, or not yet placed during prepare */
  int32_t type; /* a ksr_type; -1 if the tensor is absent */
  int32_t rank;
  int32_t dims[KSR_MAX_RANK];
} ksr_tensor;

/* Bytes of a value. */
static inline int32_t ksr_size_of(int32_t type) {
  if (type == KSR_INT8 || type == KSR_UINT8 || type == KSR_BOOL) return 1;
  return type == KSR_INT16 || type == KSR_UINT16 ? 2 : 4;
}

/* One op in a model. `options` are the bytes of its custom options. */
typedef struct ksr_node {
  const uint8_t *options;
  uint32_t options_size;
  int32_t input_count;
  int32_t output_count;
  const ksr_tensor *inputs;
  const ksr_tensor *outputs;
} ksr_node;

struct ksr_schema;

typedef struct ksr_op {
  const char *name; /* the custom code in the model file */
  uint32_t data_size; /* bytes of a node's `data`, aligned like a pointer */
  const struct ksr_schema *schema;
  /* Checks everything that the kernel relies on: options, types, shapes, every pointer and index in the constant
   * tensors. Stores in `data` what an invocation needs, including pointers to the constant tensors, which must not
   * move. Sets the size of the scratch memory (16-byte aligned) that an invocation needs. */
  ksr_status (*prepare)(const ksr_node *node, void *data, uint32_t *scratch_size);
  /* Runs a node that `prepare` has accepted. From `node` it reads the addresses of x, the outputs, the mask and the
   * states. It updates state tensors; initial states (word initial_states) are only read. An output without data is not
   * written. `scratch`, x and the outputs need not be preserved between invocations. */
  void (*invoke)(const ksr_node *node, void *data, void *scratch);
} ksr_op;

#define KSR_MAX_INPUTS 36
#define KSR_MAX_OUTPUTS 6

/* All ops of the library; the list ends with NULL. */
extern const ksr_op *const ksr_ops[];

/* Returns the op with this name, or NULL. */
const ksr_op *ksr_find_op(const char *name);

#ifdef __cplusplus
}
#endif

#endif /* KSR_H_ */
