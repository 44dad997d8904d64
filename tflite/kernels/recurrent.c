#include "recurrent.h"

#include <string.h>

#include "gates_i8.h"
#include "holds.h"
#include "target.h"
#ifdef KSR_HELIUM
#include <arm_mve.h>
#endif

enum { MAX_SOURCES = 65535 }; /* sources of events are uint16 */
enum { COLUMNS_AT_ONCE = 64 }; /* while weights are summed up */

int ksr_is_within(int32_t value, int32_t low, int32_t high) { return low <= value && value <= high; }

int ksr_is_absent(const ksr_node *node, int32_t i) { return i >= node->input_count || node->inputs[i].type < 0; }

int ksr_is_vector(const ksr_tensor *tensor, int32_t type, int32_t size) {
  return tensor->type == type && tensor->rank == 1 && tensor->dims[0] == size && tensor->data &&
         ksr_is_aligned(tensor);
}

void ksr_read_words(void *words, const uint8_t *little_endian, uint32_t size) {
  uint8_t *bytes = words;
  const int32_t one = 1;
  if (*(const uint8_t *)&one) {
    memcpy(bytes, little_endian, size);
  } else {
    for (uint32_t i = 0; i < size; ++i) bytes[i] = little_endian[i ^ 3u];
  }
}

static int is_rescaling(ksr_rescaling r) {
  return ksr_is_within(r.multiplier, 0, 32767) && ksr_is_within(r.shift, 1, 30);
}

/* At most 15 significant bits, so that processors without a product of 64 bits can take them apart. */
static int is_multiplier(int32_t multiplier) {
  while (multiplier > INT16_MAX && !(multiplier & 1)) multiplier >>= 1;
  return ksr_is_within(multiplier, 0, INT16_MAX);
}

/* What a node's tensors are read by. */
static int sizes_are_valid(const ksr_recurrent_options *o) {
  return ksr_is_within(o->units, 1, MAX_SOURCES) &&
         (o->block == 4 || o->block == 8 || o->block == 16) && ksr_is_within(o->return_sequences, 0, 1) &&
         ksr_is_within(o->go_backwards, 0, 1 + o->return_sequences);
}

static int integers_are_valid(const ksr_recurrent *recurrent) {
  const ksr_recurrent_options *o = &recurrent->options;
  for (int32_t slot = 0; slot < KSR_SLOTS; ++slot) {
    if (!is_multiplier(o->multiplier[slot])) return 0;
  }
  if (!is_rescaling(o->operand) || !is_rescaling(o->output)) return 0;
  if (recurrent->is_int16) {
    return o->x_zero_point == 0 && ksr_is_within(o->x_shift, recurrent->input_threshold ? 2 : 0, 7) &&
           ksr_is_within(o->fraction, 7, 15) && o->output_zero_point == 0 && o->activation_bits == 16 &&
           ksr_is_within(o->operand_bits, 2, 15) && ksr_is_within(o->h_shift, 0, 15 - o->operand_bits);
  }
  return ksr_is_within(o->x_zero_point, -128, 127) && ksr_is_within(o->x_shift, 0, 7) &&
         ksr_is_within(o->h_shift, 0, 7) && ksr_is_within(o->fraction, 7, 10) &&
         ksr_is_within(o->output_zero_point, -128, 127) && o->activation_bits == 8 &&
         ksr_is_within(o->operand_bits, recurrent->sends_events ? 2 : 8, 8);
}

ksr_status ksr_recurrent_read(ksr_recurrent *recurrent, const ksr_node *node, void *options, uint32_t size,
                              int32_t required, int32_t allowed) {
  int32_t version;
  if (node->options_size < sizeof(version) || !node->options) return KSR_BAD_OPTIONS;
  ksr_read_words(&version, node->options, sizeof(version));
  if (version != KSR_OPTIONS_VERSION) return KSR_OTHER_VERSION;
  if (node->options_size != size) return KSR_BAD_OPTIONS;
  if (node->input_count < required || node->input_count > allowed) return KSR_BAD_INPUT_COUNT;
  if (node->output_count != 1) return KSR_BAD_OUTPUT_COUNT;
  const ksr_tensor *x = &node->inputs[KSR_X], *output = &node->outputs[0];
  if (x->type != KSR_INT8 && !(KSR_WITH_INT16 && x->type == KSR_INT16) &&
      !(KSR_WITH_FLOAT32 && x->type == KSR_FLOAT32)) {
    return KSR_BAD_TYPE;
  }
  if (output->type != x->type) return KSR_BAD_TYPE;

  ksr_read_words(options, node->options, size);
  recurrent->options = *(const ksr_recurrent_options *)options;
  const ksr_recurrent_options *o = &recurrent->options;
  recurrent->is_int16 = x->type == KSR_INT16;
  recurrent->is_int8 = recurrent->is_int16 || x->type == KSR_INT8;
  recurrent->sends_events = 0;
  if (!sizes_are_valid(o)) return KSR_BAD_OPTIONS;

  if (x->rank != 3 || !ksr_is_within(x->dims[0], 1, INT32_MAX) || !ksr_is_within(x->dims[1], 1, INT32_MAX) ||
      !ksr_is_within(x->dims[2], 1, MAX_SOURCES)) {
    return KSR_BAD_X;
  }
  recurrent->samples = x->dims[0];
  recurrent->steps = x->dims[1];
  recurrent->inputs = x->dims[2];
  recurrent->stride = (o->units + o->block - 1) / o->block * o->block;
  const int32_t *shape = output->dims;
  const int sequences_fit =
      output->rank == 3 && shape[0] == recurrent->samples && shape[1] == recurrent->steps && shape[2] == o->units;
  const int last_fits = output->rank == 2 && shape[0] == recurrent->samples && shape[1] == o->units;
  if (!(o->return_sequences ? sequences_fit : last_fits)) return KSR_BAD_OUTPUT;
  return KSR_OK;
}

static int read_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, int32_t sources,
                       ksr_slots slots, ksr_matrix *matrix) {
  const int32_t type = recurrent->is_int8 ? KSR_INT8 : KSR_FLOAT32;
  return ksr_matrix_from_tensors(matrix, &node->inputs[i], type, sources, recurrent->options.block, recurrent->stride,
                                 slots);
}

int ksr_recurrent_read_matrix(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_slots slots,
                              ksr_matrix *matrix) {
  return read_matrix(recurrent, node, i, recurrent->options.units, slots, matrix);
}

ksr_status ksr_recurrent_read_weights(ksr_recurrent *recurrent, const ksr_node *node, ksr_slots kernel,
                                      ksr_slots recurrent_kernel) {
  if (!read_matrix(recurrent, node, KSR_KERNEL, recurrent->inputs, kernel, &recurrent->kernel)) return KSR_BAD_KERNEL;
  if (!ksr_recurrent_read_matrix(recurrent, node, KSR_RECURRENT_KERNEL, recurrent_kernel,
                                 &recurrent->recurrent_kernel)) {
    return KSR_BAD_RECURRENT_KERNEL;
  }
  const ksr_tensor *bias = &node->inputs[KSR_BIAS];
  if (!ksr_is_vector(bias, recurrent->is_int8 ? KSR_INT32 : KSR_FLOAT32, KSR_SLOTS * recurrent->stride)) {
    return KSR_BAD_BIAS;
  }
  recurrent->bias = bias->data;
  recurrent->output_scales = 0;
  if (ksr_is_absent(node, KSR_OUTPUT_SCALES)) return KSR_OK;
  const ksr_tensor *scales = &node->inputs[KSR_OUTPUT_SCALES];
  if (!recurrent->is_int8 || !ksr_is_vector(scales, KSR_INT16, KSR_SLOTS * recurrent->stride) ||
      (uintptr_t)scales->data % 4 != 0) { /* they are loaded by pairs */
    return KSR_BAD_SCALES;
  }
  recurrent->output_scales = scales->data;
  return KSR_OK;
}

int ksr_recurrent_has_sized_state(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_type type,
                                  int32_t size) {
  if (ksr_is_absent(node, i)) return 1;
  const ksr_tensor *tensor = &node->inputs[i];
  if (recurrent->is_int16 && type == KSR_INT8) type = KSR_INT16;
  return tensor->type == (int32_t)(recurrent->is_int8 ? type : KSR_FLOAT32) && tensor->rank == 2 &&
         tensor->dims[0] == recurrent->samples && tensor->dims[1] == size;
}

int ksr_recurrent_has_state(const ksr_recurrent *recurrent, const ksr_node *node, int32_t i, ksr_type type) {
  return ksr_recurrent_has_sized_state(recurrent, node, i, type, recurrent->options.units);
}

/* Values of the state `sums`. */
static int32_t sums_of(const ksr_recurrent *recurrent) {
  return KSR_SLOTS * recurrent->stride + (recurrent->is_int8 ? 1 : 0);
}

ksr_status ksr_recurrent_read_hold(ksr_recurrent *recurrent, const ksr_node *node, int32_t i) {
  recurrent->input_threshold = 0;
  /* Cleared together or kept together. */
  if (ksr_is_absent(node, i) != ksr_is_absent(node, i + 1)) return KSR_BAD_STATE;
  if (ksr_is_absent(node, KSR_INPUT_THRESHOLD)) return ksr_is_absent(node, i) ? KSR_OK : KSR_BAD_STATE;
  const ksr_tensor *threshold = &node->inputs[KSR_INPUT_THRESHOLD];
  const int32_t type = recurrent->is_int16 ? KSR_UINT16 : recurrent->is_int8 ? KSR_UINT8 : KSR_FLOAT32;
  if (!ksr_is_vector(threshold, type, recurrent->inputs)) return KSR_BAD_HOLD;
  recurrent->input_threshold = threshold->data;
  return ksr_recurrent_has_sized_state(recurrent, node, i, KSR_INT8, recurrent->inputs) &&
                 ksr_recurrent_has_sized_state(recurrent, node, i + 1, KSR_INT32, sums_of(recurrent))
             ? KSR_OK
             : KSR_BAD_STATE;
}

/* The largest that a source's value can be: of x, and of the state. */
static int64_t largest_x(const ksr_recurrent *recurrent) {
  const ksr_recurrent_options *o = &recurrent->options;
  return recurrent->is_int16 ? 32768 >> o->x_shift : 255 * (1 << o->x_shift);
}

static int64_t largest_h(const ksr_recurrent *recurrent) {
  const ksr_recurrent_options *o = &recurrent->options;
  return (int64_t)(1 << (recurrent->is_int16 ? o->operand_bits : 8)) << o->h_shift;
}

/* Takes off `room` what a matrix could add to its columns from `first` on; returns 0 where there is too little. */
static int takes_room(const ksr_matrix *matrix, int64_t largest, int32_t first, int32_t count, int32_t *room) {
  uint32_t sums[COLUMNS_AT_ONCE] = {0};
  ksr_matrix_add_magnitudes_i8(matrix, first, count, sums);
  for (int32_t i = 0; i < count; ++i) {
    const int64_t most = sums[i] * largest;
    if (most > room[i]) return 0;
    room[i] -= (int32_t)most;
  }
  return 1;
}

/* What the biases of columns `begin` to `end` leave of int32: nothing where one of them is INT32_MIN. */
static int32_t least_room(const int32_t *bias, int32_t begin, int32_t end) {
  int32_t least = INT32_MAX;
  for (int32_t i = begin; i < end; ++i) {
    const int32_t room = bias[i] < 0 ? INT32_MAX + bias[i] : INT32_MAX - bias[i];
    if (room < least) least = room;
  }
  return least;
}

/* Whether no accumulator of columns `begin` to `end` could overflow int32: the matrices, NULL for none, add to columns
 * from `begin` on. */
static int columns_fit(const ksr_recurrent *recurrent, const ksr_matrix *kernel, const ksr_matrix *recurrent_kernel,
                       int32_t begin, int32_t end) {
  const int64_t x = largest_x(recurrent), h = largest_h(recurrent);
  const int32_t *bias = recurrent->bias;
  /* Almost always there is room for any weights: their number says so, without a look at them. */
  const int64_t from_x = kernel ? 128 * x * kernel->sources : 0, from_h = 128 * h * recurrent_kernel->sources;
  if (from_x + from_h <= least_room(bias, begin, end)) return 1;
  for (int32_t first = begin; first < end; first += COLUMNS_AT_ONCE) {
    const int32_t count = end - first < COLUMNS_AT_ONCE ? end - first : COLUMNS_AT_ONCE;
    int32_t room[COLUMNS_AT_ONCE];
    for (int32_t i = 0; i < count; ++i) room[i] = least_room(bias, first + i, first + i + 1);
    if (kernel && !takes_room(kernel, x, first - begin, count, room)) return 0;
    if (!takes_room(recurrent_kernel, h, first - begin, count, room)) return 0;
  }
  return 1;
}

int ksr_recurrent_candidate_fits(const ksr_recurrent *recurrent, const ksr_matrix *matrix) {
  return !recurrent->is_int8 || columns_fit(recurrent, 0, matrix, 3 * recurrent->stride, 4 * recurrent->stride);
}

ksr_status ksr_recurrent_check(const ksr_recurrent *recurrent, const ksr_node *node) {
  if (recurrent->is_int8 && !integers_are_valid(recurrent)) return KSR_BAD_OPTIONS;
  if (!ksr_matrix_check(&recurrent->kernel, node->inputs[KSR_KERNEL].dims[0])) return KSR_BAD_KERNEL;
  if (!ksr_matrix_check(&recurrent->recurrent_kernel, node->inputs[KSR_RECURRENT_KERNEL].dims[0])) {
    return KSR_BAD_RECURRENT_KERNEL;
  }
  return !recurrent->is_int8 || columns_fit(recurrent, &recurrent->kernel, &recurrent->recurrent_kernel, 0,
                                           KSR_SLOTS * recurrent->stride)
             ? KSR_OK
             : KSR_BAD_BIAS;
}

static size_t bytes_of(const ksr_recurrent *recurrent, size_t count) {
  return count * (recurrent->is_int16 ? 2 : recurrent->is_int8 ? 1 : sizeof(float));
}

const void *ksr_recurrent_input(const ksr_recurrent *recurrent, int32_t step) {
  const int32_t t = recurrent->options.go_backwards ? recurrent->steps - 1 - step : step;
  return (const uint8_t *)recurrent->x + bytes_of(recurrent, (size_t)t * (size_t)recurrent->inputs);
}

void *ksr_recurrent_output(const ksr_recurrent *recurrent, int32_t step) {
  const ksr_recurrent_options *o = &recurrent->options;
  const int32_t place = o->go_backwards == KSR_BACKWARDS_IN_ORDER ? recurrent->steps - 1 - step : step;
  if (o->return_sequences) return (uint8_t *)recurrent->output + bytes_of(recurrent, (size_t)place * (size_t)o->units);
  return step == recurrent->steps - 1 ? recurrent->output : 0;
}

/* A multiple of sixteen words, many at a time: C libraries made for small size do not. */
static void copy_words(int32_t *to, const int32_t *from, int32_t count) {
#ifdef KSR_DSP
  for (const int32_t *end = from + count; from < end;) {
    __asm__ volatile(
        "ldm %0!, {r4-r6, r8-r12}\n stm %1!, {r4-r6, r8-r12}\n"
        "ldm %0!, {r4-r6, r8-r12}\n stm %1!, {r4-r6, r8-r12}"
        : "+r"(from), "+r"(to)::"r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "memory");
  }
#elif defined(KSR_THUMB)
  for (const int32_t *end = from + count; from < end;) {
    __asm__ volatile(
        "ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}\n ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}\n"
        "ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}\n ldmia %0!, {r3-r6}\n stmia %1!, {r3-r6}"
        : "+l"(from), "+l"(to)::"r3", "r4", "r5", "r6", "memory");
  }
#else
  typedef struct words {
    int32_t word[8];
  } words;
  for (const int32_t *end = from + count; from < end; from += 8, to += 8) *(words *)to = *(const words *)from;
#endif
}

void ksr_fill_i8(int8_t *to, int8_t value, int32_t count) {
#if defined(KSR_HELIUM)
  for (; count >= 16; count -= 16, to += 16) vstrbq_s8(to, vdupq_n_s8(value));
#elif defined(KSR_DSP)
  if (((uintptr_t)to & 3u) == 0) {
    const uint32_t four = (uint8_t)value * 0x01010101u;
    for (; count >= 32; count -= 32) {
      __asm__ volatile("mov r4, %1\n mov r5, %1\n mov r6, %1\n mov r8, %1\n stm %0!, {r4-r6, r8}\n stm %0!, {r4-r6, r8}"
                       : "+r"(to) : "r"(four) : "r4", "r5", "r6", "r8", "memory");
    }
  }
#endif
  memset(to, value, (uint32_t)count);
}

uint32_t ksr_recurrent_scratch(const ksr_recurrent *recurrent) {
  const uint32_t accumulators = ksr_accumulators_size(recurrent);
  if (!recurrent->input_threshold) return accumulators;
  return accumulators + (uint32_t)sums_of(recurrent) * (uint32_t)sizeof(int32_t) +
         ksr_aligned((uint32_t)bytes_of(recurrent, (size_t)recurrent->inputs));
}

/* A tensor's part that belongs to one sample of the batch, its first dimension. */
static void *of_sample(const ksr_tensor *tensor, int32_t sample) {
  if (!sample || !tensor->data) return tensor->data;
  size_t bytes = (size_t)ksr_size_of(tensor->type);
  for (int32_t d = 1; d < tensor->rank; ++d) bytes *= (size_t)tensor->dims[d];
  return (uint8_t *)tensor->data + (size_t)sample * bytes;
}

void *ksr_state_of(const ksr_node *node, int32_t sample, int32_t i) {
  return i < node->input_count ? of_sample(&node->inputs[i], sample) : 0;
}

/* Sums are cleared without the biases; then a 0 lies behind them. */
static void add_biases(const ksr_recurrent *recurrent) {
  const int32_t count = KSR_SLOTS * recurrent->stride;
  const uint32_t *bias = recurrent->bias;
  uint32_t *sums = recurrent->sums;
  if (sums[count]) return;
  for (int32_t i = 0; i < count; ++i) sums[i] += bias[i];
  sums[count] = 1;
}

void ksr_recurrent_begin(ksr_recurrent *recurrent, const ksr_node *node, int32_t sample, int32_t i, void *scratch) {
  recurrent->x = of_sample(&node->inputs[KSR_X], sample);
  recurrent->output = of_sample(&node->outputs[0], sample);
  if (!recurrent->input_threshold) return;
  const uint32_t accumulators = ksr_accumulators_size(recurrent);
  const uint32_t sums_size = (uint32_t)sums_of(recurrent) * (uint32_t)sizeof(int32_t);
  uint8_t *sums = (uint8_t *)scratch + accumulators, *held_x = sums + sums_size;
  recurrent->held_x = ksr_state_of(node, sample, i);
  recurrent->sums = ksr_state_of(node, sample, i + 1);
  if (!recurrent->sums) recurrent->sums = memset(sums, 0, sums_size);
  if (!recurrent->held_x) {
    const int zero = recurrent->is_int8 ? recurrent->options.x_zero_point : 0;
    recurrent->held_x = memset(held_x, zero, bytes_of(recurrent, (size_t)recurrent->inputs));
  }
  if (recurrent->is_int8) add_biases(recurrent);
}

enum { CHANGES_AT_ONCE = 64 };

/* Takes over those of x that have changed, and adds what they changed by to the sums. */
static void send_changes(const ksr_recurrent *recurrent, const int8_t *x) {
  const int32_t inputs = recurrent->inputs;
  for (int32_t j = 0; j < inputs; j += CHANGES_AT_ONCE) {
    ksr_event events[CHANGES_AT_ONCE];
    const int32_t count = inputs - j < CHANGES_AT_ONCE ? inputs - j : CHANGES_AT_ONCE;
    const ksr_event *end = ksr_hold_inputs(x, recurrent->input_threshold, recurrent->held_x, j, count,
                                           recurrent->options.x_shift, events);
    ksr_matrix_add_events_i8(&recurrent->kernel, events, (int32_t)(end - events), recurrent->sums);
  }
}

void ksr_recurrent_start_i8(const ksr_recurrent *recurrent, const int8_t *x, int32_t *acc) {
  const ksr_recurrent_options *o = &recurrent->options;
  if (recurrent->input_threshold) {
    send_changes(recurrent, x);
    if (acc != recurrent->sums) copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
  copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  ksr_matrix_add_vector_i8(&recurrent->kernel, x, o->x_zero_point, 1 << o->x_shift, acc);
}

#if KSR_WITH_INT16
static int32_t operand_of_x(int32_t x, int32_t shift) { return (x + ((1 << shift) >> 1)) >> shift; }

static void send_changes_i16(const ksr_recurrent *recurrent, const int16_t *x) {
  const int32_t shift = recurrent->options.x_shift;
  const uint16_t *threshold = recurrent->input_threshold;
  int16_t *held = recurrent->held_x;
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    if (ksr_is_held(x[j] - held[j], threshold[j])) continue;
    const int32_t change = operand_of_x(x[j], shift) - operand_of_x(held[j], shift);
    held[j] = x[j];
    if (change) ksr_matrix_add_i8(&recurrent->kernel, j, change, recurrent->sums);
  }
}

/* acc += matrix of a vector of 16 bits, each value rounded to `shift` fewer bits and saturated to `bits`. */
static void add_vector_i16(const ksr_matrix *matrix, const int16_t *x, int32_t shift, int32_t bits, int32_t factor,
                           int32_t *acc) {
  const int32_t most = (1 << (bits - 1)) - 1;
  for (int32_t j = 0; j < matrix->sources;) {
    ksr_event events[CHANGES_AT_ONCE];
    ksr_event *end = events;
    for (; j < matrix->sources && end < events + CHANGES_AT_ONCE; ++j) {
      const int32_t value = ksr_saturate(operand_of_x(x[j], shift), -most - 1, most);
      if (value) *end++ = (ksr_event){(uint16_t)j, (int16_t)(value * factor)};
    }
    ksr_matrix_add_events_i8(matrix, events, (int32_t)(end - events), acc);
  }
}

void ksr_recurrent_start_i16(const ksr_recurrent *recurrent, const int16_t *x, int32_t *acc) {
  if (recurrent->input_threshold) {
    send_changes_i16(recurrent, x);
    if (acc != recurrent->sums) copy_words(acc, recurrent->sums, KSR_SLOTS * recurrent->stride);
    return;
  }
  copy_words(acc, recurrent->bias, KSR_SLOTS * recurrent->stride);
  add_vector_i16(&recurrent->kernel, x, recurrent->options.x_shift, 16, 1, acc);
}

void ksr_recurrent_add_i16(const ksr_recurrent *recurrent, const int16_t *h, int32_t *acc) {
  const ksr_recurrent_options *o = &recurrent->options;
  add_vector_i16(&recurrent->recurrent_kernel, h, 0, o->operand_bits, 1 << o->h_shift, acc);
}
#endif

void ksr_recurrent_add_i8(const ksr_recurrent *recurrent, const int8_t *h, int32_t *acc) {
  ksr_matrix_add_vector_i8(&recurrent->recurrent_kernel, h, 0, 1 << recurrent->options.h_shift, acc);
}

void ksr_recurrent_scale_outputs(const ksr_recurrent *recurrent, int32_t first, int32_t slots, int32_t *acc) {
  const int16_t *scale = recurrent->output_scales;
  if (!scale) return;
  acc += first * recurrent->stride;
  scale += first * recurrent->stride;
#if defined(KSR_HELIUM)
  for (const int32_t *end = acc + slots * recurrent->stride; acc < end; acc += 4, scale += 4) {
    vstrwq_s32(acc, vmulhq_s32(vldrwq_s32(acc), vshlq_n_s32(vldrhq_s32(scale), 16)));
  }
#elif defined(KSR_DSP)
  for (const int32_t *end = acc + slots * recurrent->stride; acc < end;) {
    __asm__ volatile(
        "ldm %0, {r4-r6, r8}\n ldm %1!, {r9-r10}\n"
        "smulwb r4, r4, r9\n smulwt r5, r5, r9\n smulwb r6, r6, r10\n smulwt r8, r8, r10\n"
        "stm %0!, {r4-r6, r8}"
        : "+r"(acc), "+r"(scale)::"r4", "r5", "r6", "r8", "r9", "r10", "memory");
  }
#else
  for (int32_t i = 0; i < slots * recurrent->stride; ++i) acc[i] = ksr_product_over_16(acc[i], scale[i]);
#endif
}

#if KSR_WITH_FLOAT32
static void send_changes_f32(const ksr_recurrent *recurrent, const float *x) {
  const float *threshold = recurrent->input_threshold;
  float *held = recurrent->held_x;
  for (int32_t j = 0; j < recurrent->inputs; ++j) {
    const float change = x[j] - held[j];
    if (!(change > threshold[j] || -change > threshold[j])) continue;
    held[j] = x[j];
    ksr_matrix_add_f32(&recurrent->kernel, j, change, recurrent->sums);
  }
}

void ksr_recurrent_start_f32(const ksr_recurrent *recurrent, const float *x, float *acc) {
  if (recurrent->input_threshold) {
    send_changes_f32(recurrent, x);
    const float *bias = recurrent->bias, *sums = recurrent->sums;
    for (int32_t i = 0; i < KSR_SLOTS * recurrent->stride; ++i) acc[i] = bias[i] + sums[i];
    return;
  }
  memcpy(acc, recurrent->bias, KSR_SLOTS * (uint32_t)recurrent->stride * sizeof(float));
  ksr_matrix_add_vector_f32(&recurrent->kernel, x, acc);
}
#endif
