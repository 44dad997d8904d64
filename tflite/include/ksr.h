/* What every op of keras-sparse-rnn has in common: tensors, status, and the two calls prepare and invoke.
 *
 * An adapter (LiteRT delegate, TFLM op, firmware) looks an op up by its name, gives each node `data_size` bytes to
 * keep, hands `prepare` the node with its constant tensors (the `data` of all others is NULL until the first `invoke`),
 * gives the scratch bytes that it asks for, and calls `invoke` as often as it likes. The core allocates nothing, keeps
 * no global state and includes no header but its own, <stdint.h> and <string.h>. */
#ifndef KSR_H_
#define KSR_H_
/* Sources: status.c */

#include <stdint.h>

#include "ksr_build.h"
#include "ksr_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A status has its kind in the lowest 8 bits and above them the number of the word of the custom options or of the
 * input that is at fault. */
#define KSR_STATUS_NAME(name, text) name,
enum { KSR_STATUS_LIST(KSR_STATUS_NAME) KSR_STATUS_COUNT };
#undef KSR_STATUS_NAME
typedef int32_t ksr_status;
#define KSR_STATUS(kind, number) ((kind) | (number) << 8)
#define KSR_KIND(status) ((status) & 0xff)
#define KSR_NUMBER(status) ((status) >> 8)

/* What the kind of a status means, in English; never NULL. */
const char *ksr_status_text(ksr_status status);

/* What this core is: its release, and what it has of ksr_build.h (the others are not defined). A model's source refers
 * to what it needs, so that a program does not link with a core that lacks it, or with two cores. */
extern const unsigned char KSR_CORE, ksr_core_with_float32, ksr_core_with_int16;
extern const unsigned char ksr_core_with_usual_gates, ksr_core_with_other_gates;
extern const unsigned char ksr_core_with_piecewise, ksr_core_with_softsign, ksr_core_with_sigmoid;
extern const unsigned char ksr_core_with_tanh, ksr_core_with_exponential, ksr_core_with_gelu;
extern const unsigned char ksr_core_with_blocks_4, ksr_core_with_blocks_8, ksr_core_with_blocks_16;
extern const unsigned char ksr_core_with_by_sources, ksr_core_with_by_outputs, ksr_core_with_holds;
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
  KSR_OTHER_TYPE /* none that an op takes */
} ksr_type;

#define KSR_MAX_RANK 4

typedef struct ksr_tensor {
  void *data; /* NULL where the tensor is absent, or not yet placed while preparing */
  int32_t type; /* a ksr_type; -1 where the tensor is absent */
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
  uint32_t data_size; /* bytes of a node's `data`, aligned as a pointer is */
  const struct ksr_schema *schema;
  /* Checks everything that the kernel relies on: options, types, shapes, every pointer and index in the constant
   * tensors. Keeps in `data` what an invocation needs of them; constant tensors must stay where they are. Sets the
   * bytes of scratch memory (16-byte aligned) that an invocation needs. */
  ksr_status (*prepare)(const ksr_node *node, void *data, uint32_t *scratch_size);
  /* Runs a node that `prepare` has accepted: of `node` it reads where x, the outputs, the mask and the states lie.
   * State tensors are updated, or those to begin with only read (word initial_states). An output that has no data is
   * not written. Between invocations neither `scratch` nor x and output need to be kept. */
  void (*invoke)(const ksr_node *node, void *data, void *scratch);
} ksr_op;

#define KSR_MAX_INPUTS 23
#define KSR_MAX_OUTPUTS 6

/* All ops of the library; the list ends with a NULL. */
extern const ksr_op *const ksr_ops[];

/* The op of that name, or NULL. */
const ksr_op *ksr_find_op(const char *name);

#ifdef __cplusplus
}
#endif

#endif /* KSR_H_ */
