/* Lists of events for Armv7E-M and Armv8-M with the DSP extension. An event is a word: its source in the lower half,
 * its value in the upper one. */
#include "events.h"

#ifdef KSR_DSP

/* Units r4 + `first` and the next one, two cells and two thresholds a word, compared by one QSUB16: cells, thresholds,
 * and where the former lie behind r0. r3 next event. */
#define PAIR(first, cells, thresholds, at) \
  "qsub16 r9, " thresholds ", " cells "\n" \
  "tst r9, #0x80008000\n"                  \
  "beq 4f\n"                               \
  "tst r9, #0x8000\n"                      \
  "beq 3f\n"                               \
  "add r12, r4, #" first "\n"              \
  "pkhbt r12, r12, " cells ", lsl #16\n"   \
  "str r12, [r3], #4\n"                    \
  "3: cmp r9, #0\n"                        \
  "bge 3f\n"                               \
  "add r12, r4, #" first " + 1\n"          \
  "pkhtb r12, " cells ", r12\n"            \
  "str r12, [r3], #4\n"                    \
  "3: ssub16 r12, " cells ", " thresholds "\n" \
  "ssub16 r9, " thresholds ", " cells "\n" \
  "sel r12, " cells ", r12\n"              \
  "str r12, [r0, #" at "]\n"               \
  "4:\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define FOUR_UNITS(first, third)    \
  "ldm r0!, {r5, r6}\n"             \
  "ldm r1!, {r7, r8}\n"             \
  PAIR(first, "r5", "r7", "-8")     \
  PAIR(third, "r6", "r8", "-4")

/* Of a multiple of eight units, at least eight; all but `events` aligned to words. */
__attribute__((naked)) static ksr_event *events_of_eights(int16_t *cell, const int16_t *threshold, const int16_t *end,
                                                         ksr_event *events) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r9, r10, lr}\n"
      "movs r4, #0\n"
      "1:\n" FOUR_UNITS("0", "2") FOUR_UNITS("4", "6")
      "adds r4, #8\n"
      "cmp r0, r2\n"
      "bne 1b\n"
      "mov r0, r3\n"
      "pop {r4-r9, r10, pc}\n");
}

ksr_event *ksr_events_of_dsp(int16_t *cell, const int16_t *threshold, int32_t first, int32_t end, int32_t reset,
                             ksr_event *event) {
  const int32_t eights = end & ~7;
  if (reset && first == 0 && eights && !(((uintptr_t)cell | (uintptr_t)threshold) & 3u)) {
    event = events_of_eights(cell, threshold, cell + eights, event);
    first = eights;
  }
  return first < end ? ksr_events_of_portable(cell, threshold, first, end, reset, event) : event;
}

/* Unit r4 + `source`, if the byte of r7 that `byte` takes out is not zero. */
#define READ(byte, source)               \
  byte                                   \
  "beq 2f\n"                             \
  "lsls r6, r2\n"                        \
  "add r8, r4, #" source "\n"            \
  "orr r6, r8, r6, lsl #16\n"            \
  "str r6, [r3], #4\n"                   \
  "2:\n"

#define READ_FOUR(word, first)                        \
  "eors r7, " word ", #0x80808080\n"                  \
  "beq 3f\n"                                          \
  READ("ands r6, r7, #0xff\n", #first)                \
  READ("ubfx r6, r7, #8, #8\n cmp r6, #0\n", #first " + 1") \
  READ("ubfx r6, r7, #16, #8\n cmp r6, #0\n", #first " + 2") \
  READ("lsrs r6, r7, #24\n", #first " + 3")           \
  "3:\n"

/* Of a multiple of eight units, at least eight; y aligned to words. */
__attribute__((naked)) static ksr_event *read_eights(const int8_t *y, const int8_t *end, int32_t h_shift,
                                                     ksr_event *events) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r9, r10, lr}\n"
      "movs r4, #0\n"
      "1: ldm r0!, {r5, r9}\n"
      READ_FOUR("r5", 0)
      READ_FOUR("r9", 4)
      "adds r4, #8\n"
      "cmp r0, r1\n"
      "bne 1b\n"
      "mov r0, r3\n"
      "pop {r4-r9, r10, pc}\n");
}

ksr_event *ksr_events_read_dsp(const int8_t *y, int32_t first, int32_t end, int32_t h_shift, ksr_event *event) {
  const int32_t eights = end & ~7;
  if (first == 0 && eights && !((uintptr_t)y & 3u)) {
    event = read_eights(y, y + eights, h_shift, event);
    first = eights;
  }
  return first < end ? ksr_events_read_portable(y, first, end, h_shift, event) : event;
}

/* In the order in which they are loaded: with `multiplier` scaled to 24 bits of shift, 16 of them in SMLAWT and 8 in
 * the saturation, and `offset` for rounding and zero point between them. */
typedef struct send_arguments {
  int32_t operand_multiplier, operand_offset;
  int32_t output_multiplier, output_offset;
  int32_t shift; /* 16 and that of h */
  int8_t *output, *y;
} send_arguments;

/* r3, r4 operand; r5, r6 output multiplier and offset; r7 shift, r8 output, r9 y, which may be the same: the output
 * remains */
#define DEFINE_SEND(name, output, write)                                                                       \
  __attribute__((naked)) static void name(ksr_event *event, const ksr_event *end, const send_arguments *arguments) { \
    __asm__ volatile(                                                                                          \
        ".syntax unified\n"                                                                                    \
        "push {r4-r9, r10, lr}\n"                                                                              \
        "ldm r2, {r3-r9}\n"                                                                                    \
        "1: ldr r2, [r0]\n"                                                                                    \
        "smlawt r12, r3, r2, r4\n" output                                                                      \
        "usat r12, #8, r12, asr #8\n"                                                                          \
        "uxth r2, r2\n"                                                                                        \
        "lsl lr, r12, r7\n"                                                                                    \
        "orr lr, lr, r2\n"                                                                                     \
        "str lr, [r0], #4\n" write                                                                             \
        "cmp r0, r1\n"                                                                                         \
        "bne 1b\n"                                                                                             \
        "pop {r4-r9, r10, pc}\n");                                                                             \
  }

DEFINE_SEND(send, "", "")
DEFINE_SEND(send_and_write, "smlawt r10, r5, r2, r6\n ssat r10, #8, r10, asr #8\n",
            "subs r12, #128\n strb r12, [r9, r2]\n strb r10, [r8, r2]\n")

static int is_for_24_bits(ksr_rescaling r) { return 8 <= r.shift && r.shift <= 24; }

void ksr_events_send_dsp(ksr_event *event, const ksr_event *end, const ksr_gates *gates, int32_t h_shift,
                         int8_t *output, int8_t *y) {
  const ksr_rescaling operand = gates->operand, to_output = gates->output;
  if (!is_for_24_bits(operand) || !is_for_24_bits(to_output)) {
    ksr_events_send_portable(event, end, gates, h_shift, output, y);
    return;
  }
  if (event == end) return;
  const int32_t to_operand = operand.multiplier << (24 - operand.shift);
  send_arguments arguments = {to_operand, 1 << 7, to_output.multiplier << (24 - to_output.shift),
                              (1 << 7) + gates->output_zero_point * (1 << 8), 16 + h_shift, output, y ? y : output};
  if (!output) { /* y in both places */
    arguments.output_multiplier = to_operand;
    arguments.output_offset = (1 << 7) - (1 << 15);
    arguments.output = y;
  }
  (output || y ? send_and_write : send)(event, end, &arguments);
}

#endif /* KSR_DSP */
