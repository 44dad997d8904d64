/* One op with everything that a file may say of it: options, shapes, types, contents. Built with sanitizers; the bodies
 * for this processor must do, bit for bit, what those in plain C do. `fuzz_ops.py` builds it, makes seeds and runs it.
 *
 * An input: the op's name; how many inputs and further outputs it has; how many bytes its options have, and these; for
 * each input and output its type, flags, rank and dimensions; and then the contents of one tensor after the other. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ksr_recurrent.h"

enum {
  NAME = 24,
  HEADER = NAME + 4,
  TENSOR_HEADER = 4 + 4 * KSR_MAX_RANK,
  IS_CONSTANT = 1, /* a flag: its content is in the file */
  MOST_OPTIONS = 1024,
  MOST_BYTES = 1 << 20,
  MOST_WORK = 1 << 22, /* steps times constants */
  INVOCATIONS = 2
};

typedef struct reader {
  const uint8_t *data;
  size_t size;
} reader;

static void take(reader *from, void *to, size_t size) {
  const size_t there = from->size < size ? from->size : size;
  memcpy(to, from->data, there);
  memset((uint8_t *)to + there, 0, size - there);
  from->data += there;
  from->size -= there;
}

/* A node, as an adapter hands it over; each tensor in memory of exactly its size. */
typedef struct model {
  const ksr_op *op;
  ksr_node node;
  ksr_tensor inputs[KSR_MAX_INPUTS];
  ksr_tensor outputs[KSR_MAX_OUTPUTS];
  uint8_t flags[KSR_MAX_INPUTS + KSR_MAX_OUTPUTS];
  int64_t bytes[KSR_MAX_INPUTS + KSR_MAX_OUTPUTS]; /* -1: too many, or a negative dimension */
  void *data, *scratch;
} model;

static int32_t tensors_of(const model *m) { return m->node.input_count + m->node.output_count; }

static ksr_tensor *tensor_of(model *m, int32_t i) {
  return i < m->node.input_count ? &m->inputs[i] : &m->outputs[i - m->node.input_count];
}

/* Whether an op reads states that are given; what it keeps only a kernel writes. */
static int has_initial_states(const model *m) {
  enum { WORD = offsetof(ksr_recurrent_options, initial_states) / sizeof(int32_t) };
  int32_t word = 0;
  if (m->node.options_size >= sizeof(ksr_recurrent_options)) ksr_read_words(&m->node, WORD, 1, &word);
  return word;
}

static int64_t size_of(const ksr_tensor *tensor) {
  int64_t size = ksr_size_of(tensor->type);
  for (int32_t i = 0; i < tensor->rank; ++i) {
    if (tensor->dims[i] < 0) return -1;
    size *= tensor->dims[i];
    if (size > MOST_BYTES) return -1;
  }
  return size;
}

static void read_tensor(reader *from, ksr_tensor *tensor, uint8_t *flags) {
  uint8_t header[TENSOR_HEADER];
  take(from, header, sizeof(header));
  tensor->type = header[0] > INT8_MAX ? -1 : header[0]; /* no adapter gives another type to what is absent */
  *flags = header[1];
  tensor->rank = header[2] % (KSR_MAX_RANK + 1);
  memcpy(tensor->dims, header + 4, sizeof(tensor->dims));
}

static void *allocate(int64_t size) {
  void *memory = malloc((size_t)size);
  if (!memory && size) abort();
  return memory;
}

/* 0 where the file could not come from an interpreter: it would have refused a constant without its data. */
static int read_model(model *m, const ksr_op *op, reader from) {
  uint8_t header[HEADER];
  memset(m, 0, sizeof(*m));
  take(&from, header, sizeof(header));
  m->op = op;
  m->node.input_count = header[NAME] % (KSR_MAX_INPUTS + 1);
  m->node.output_count = 1 + header[NAME + 1] % KSR_MAX_OUTPUTS;
  m->node.inputs = m->inputs;
  m->node.outputs = m->outputs;
  m->node.options_size = (uint32_t)(header[NAME + 2] | header[NAME + 3] << 8) % MOST_OPTIONS;
  uint8_t *options = allocate(m->node.options_size);
  take(&from, options, m->node.options_size);
  m->node.options = options;
  for (int32_t i = 0; i < tensors_of(m); ++i) read_tensor(&from, tensor_of(m, i), &m->flags[i]);
  for (int32_t i = 0; i < tensors_of(m); ++i) {
    ksr_tensor *tensor = tensor_of(m, i);
    m->bytes[i] = tensor->type == -1 ? 0 : size_of(tensor);
    if (i >= m->node.input_count) m->flags[i] = 0;
    if (tensor->type == -1 || !(m->flags[i] & IS_CONSTANT)) continue;
    if (m->bytes[i] < 0) return 0;
    tensor->data = allocate(m->bytes[i]);
    take(&from, tensor->data, (size_t)m->bytes[i]);
  }
  return 1;
}

static void free_model(model *m) {
  for (int32_t i = 0; i < tensors_of(m); ++i) free(tensor_of(m, i)->data);
  free((void *)(uintptr_t)m->node.options);
  free(m->data);
  free(m->scratch);
}

/* Gives x, the states and the output their memory; 0 where that is too much for here. */
static int place(model *m, reader contents) {
  int64_t work = 0;
  for (int32_t i = 0; i < tensors_of(m); ++i) {
    if (m->bytes[i] < 0) return 0;
    if (m->flags[i] & IS_CONSTANT) work += m->bytes[i];
  }
  for (int32_t i = 0; i + 1 < m->inputs[0].rank; ++i) work *= m->inputs[0].dims[i];
  if (work > MOST_WORK) return 0;
  for (int32_t i = 0; i < tensors_of(m); ++i) {
    ksr_tensor *tensor = tensor_of(m, i);
    if (tensor->type == -1 || m->flags[i] & IS_CONSTANT) continue;
    tensor->data = allocate(m->bytes[i]);
    memset(tensor->data, 0, (size_t)m->bytes[i]);
    const int is_given = i == 0 || tensor->type == KSR_BOOL || (i < m->node.input_count && has_initial_states(m));
    if (is_given) take(&contents, tensor->data, (size_t)m->bytes[i]); /* other states are cleared */
  }
  return 1;
}

static int is_equal(const ksr_tensor *a, const ksr_tensor *b, int64_t bytes) {
  if (a->type != KSR_FLOAT32) return !memcmp(a->data, b->data, (size_t)bytes);
  for (int64_t i = 0; i < bytes / 4; ++i) { /* what bits a NaN has is left to the processor */
    const float x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
    if (memcmp(&x, &y, sizeof(x)) && !(x != x && y != y)) return 0;
  }
  return 1;
}

static const ksr_op *(*find_portable)(const char *);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  const char *path = getenv("KSR_PORTABLE_CORE");
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : 0;
  if (!library) {
    fprintf(stderr, "KSR_PORTABLE_CORE must name the core in plain C: %s\n", path ? dlerror() : "not set");
    exit(1);
  }
  void *symbol = dlsym(library, "ksr_find_op");
  memcpy(&find_portable, &symbol, sizeof(symbol));
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char name[NAME];
  if (size < HEADER) return 0;
  memcpy(name, data, NAME);
  name[NAME - 1] = 0;
  const ksr_op *ops[2] = {ksr_find_op(name), find_portable(name)};
  if (!ops[0]) return 0;
  if (ops[1] == ops[0]) abort(); /* compared with itself */
  model models[2];
  ksr_status status[2] = {KSR_OK, KSR_OK};
  uint32_t scratch[2] = {0, 0};
  const reader all = {data, size};
  int is_whole = 1;
  for (int32_t k = 0; k < 2; ++k) is_whole &= read_model(&models[k], ops[k], all);
  for (int32_t k = 0; is_whole && k < 2; ++k) {
    models[k].data = allocate(ops[k]->data_size);
    status[k] = ops[k]->prepare(&models[k].node, models[k].data, &scratch[k]);
    if (status[k] < 0 || (status[k] & 0xFF) >= KSR_STATUS_COUNT) abort();
  }
  if (status[0] != status[1]) abort();
  if (is_whole && status[0] == KSR_OK && place(&models[0], all) && place(&models[1], all)) {
    for (int32_t k = 0; k < 2; ++k) models[k].scratch = allocate(scratch[k]);
    for (int32_t run = 0; run < INVOCATIONS; ++run) {
      for (int32_t k = 0; k < 2; ++k) ops[k]->invoke(&models[k].node, models[k].data, models[k].scratch);
      for (int32_t i = 0; i < tensors_of(&models[0]); ++i) {
        const ksr_tensor *a = tensor_of(&models[0], i), *b = tensor_of(&models[1], i);
        if (a->type != -1 && !is_equal(a, b, models[0].bytes[i])) {
          fprintf(stderr, "%s: tensor %d differs from that of the core in plain C\n", ops[0]->name, i);
          abort();
        }
      }
    }
  }
  for (int32_t k = 0; k < 2; ++k) free_model(&models[k]);
  return 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Most changes of a size or a shape are refused at once: those within one part of the input, which keep all others in
 * place, lead further. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  if (size < HEADER || seed % 8 == 0) return LLVMFuzzerMutate(data, size, most);
  const size_t options = (size_t)(data[NAME + 2] | data[NAME + 3] << 8) % MOST_OPTIONS;
  const size_t count = (size_t)(data[NAME] % (KSR_MAX_INPUTS + 1) + 1 + data[NAME + 1] % KSR_MAX_OUTPUTS);
  const size_t tensors = TENSOR_HEADER * count;
  const size_t begin[] = {HEADER, HEADER + options, HEADER + options + tensors, size};
  const size_t part = seed / 8 % 3;
  if (begin[part + 1] > size || begin[part + 1] <= begin[part]) return LLVMFuzzerMutate(data, size, most);
  const size_t length = begin[part + 1] - begin[part];
  const size_t word = seed / 64 % length / 4 * 4, width = length - word < 4 ? length - word : 4;
  if (seed / 32 % 2) {
    LLVMFuzzerMutate(data + begin[part], length, length);
  } else {
    LLVMFuzzerMutate(data + begin[part] + word, width, width);
  }
  return size;
}
