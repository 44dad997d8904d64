/* Tests of held values for Armv7E-M and Armv8-M with the DSP extension: four inputs or two states a word. Differences
 * both ways, the flags GE of the second one, and SEL give magnitudes that no sign bit is missing from; what a
 * saturating subtraction of the thresholds leaves of them has changed. */
#include "holds.h"

#if defined(KSR_DSP) && KSR_WITH_HOLDS

/* In the order in which they are loaded. */
typedef struct hold_arguments {
  const void *end; /* of the new values */
  int32_t source;  /* the first one's */
  ksr_event *event;
  int32_t shift;      /* 16 and that of the values, so that they come into the upper half of an event */
  int32_t multiplier; /* states only: to operands, with 24 bits of shift */
} hold_arguments;

/* r0 new values, r1 thresholds, r2 held values, r3 their end, r4 source, r6 next event, r7 shift, r10 multiplier,
 * lr what rounds; r8 new, r9 held, r5 what changed of a word */
#define WORD(bits, changed)      \
  "ldr r8, [r0], #4\n"           \
  "ldr r9, [r2], #4\n"           \
  "ldr r5, [r1], #4\n"           \
  "ssub" bits " r11, r9, r8\n"   \
  "ssub" bits " r12, r8, r9\n"   \
  "sel r11, r12, r11\n"          \
  "uqsub" bits " r5, r11, r5\n"  \
  "cbnz r5, " changed "\n"

/* What has changed is held from now on. */
#define TAKE(bits)                \
  "movs r12, #0\n"                \
  "usub" bits " r12, r12, r5\n"   \
  "sel r9, r9, r8\n"              \
  "str r9, [r2, #-4]\n"

/* Two words a round, from the second one on where there is an odd number of them; `first` and `second` list what
 * changed in them. */
#define HOLD(bits, of_a_word, first, second) \
  ".syntax unified\n"                        \
  "push {r4-r11, lr}\n"                      \
  "ldm r3, {r3, r4, r6, r7, r10}\n"          \
  "mov lr, #128\n"                           \
  "subs r5, r3, r0\n"                        \
  "lsls r5, r5, #29\n"                       \
  "bmi 4f\n"                                 \
  "1:\n" WORD(bits, "5f")                    \
  "2:\n" WORD(bits, "6f")                    \
  "3: adds r4, #2 * " of_a_word "\n"         \
  "cmp r0, r3\n"                             \
  "bne 1b\n"                                 \
  "mov r0, r6\n"                             \
  "pop {r4-r11, pc}\n"                       \
  "4: subs r4, #" of_a_word "\n"             \
  "b 2b\n"                                   \
  "6: b 7f\n"                                \
  "5:\n" first TAKE(bits) "b 2b\n"          \
  "7:\n" second TAKE(bits) "b 3b\n"

/* An event of source r4 + `at` and the change r11. */
#define EVENT(at)              \
  "lsl r11, r11, r7\n"         \
  "add r12, r4, #" at "\n"     \
  "orr r11, r11, r12\n"        \
  "str r11, [r6], #4\n"

#define INPUT(at, mask, rotated)   \
  "tst r5, #" mask "\n"            \
  "beq 8f\n"                       \
  "sxtb r11, r8" rotated "\n"      \
  "sxtb r12, r9" rotated "\n"      \
  "sub r11, r11, r12\n" EVENT(at)  \
  "8:\n"

#define INPUTS(at)                              \
  INPUT(at, "0xff", "")                         \
  INPUT(at " + 1", "0xff00", ", ror #8")        \
  INPUT(at " + 2", "0xff0000", ", ror #16")     \
  INPUT(at " + 3", "0xff000000", ", ror #24")

/* The half that `shifted` leaves over, if it changed. Where a state's operand is the same as before, there is no
 * event. */
#define STATE(at, shifted, half)        \
  shifted " r11, r5, #16\n"             \
  "beq 8f\n"                            \
  "smlaw" half " r11, r10, r8, lr\n"    \
  "smlaw" half " r12, r10, r9, lr\n"    \
  "ssat r11, #8, r11, asr #8\n"         \
  "ssat r12, #8, r12, asr #8\n"         \
  "subs r11, r11, r12\n"                \
  "beq 8f\n" EVENT(at)                  \
  "8:\n"

#define STATES(at) STATE(at, "lsls", "b") STATE(at " + 1", "lsrs", "t")

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* Of a multiple of four inputs, at least four. */
__attribute__((naked)) static ksr_event *hold_inputs(const int8_t *x, const uint8_t *threshold, int8_t *held,
                                                     const hold_arguments *arguments) {
  __asm__ volatile(HOLD("8", "4", INPUTS("0"), INPUTS("4")));
}

/* Of a multiple of two states, at least two. */
__attribute__((naked)) static ksr_event *hold_states(const int16_t *h, const uint16_t *threshold, int16_t *held,
                                                     const hold_arguments *arguments) {
  __asm__ volatile(HOLD("16", "2", STATES("0"), STATES("2")));
}

/* Some processors are set up to trap at words that are not aligned. */
static int are_words(const void *new_values, const void *threshold, const void *held) {
  return (((uintptr_t)new_values | (uintptr_t)threshold | (uintptr_t)held) & 3u) == 0;
}

ksr_event *ksr_hold_inputs_dsp(const int8_t *x, const uint8_t *threshold, int8_t *held, int32_t first, int32_t count,
                               int32_t shift, ksr_event *event) {
  const int32_t fours = are_words(x, threshold, held) ? count & ~3 : 0;
  if (fours) {
    const hold_arguments arguments = {x + fours, first, event, 16 + shift, 0};
    event = hold_inputs(x, threshold, held, &arguments);
  }
  if (fours == count) return event;
  return ksr_hold_inputs_portable(x + fours, threshold + fours, held + fours, first + fours, count - fours, shift,
                                  event);
}

ksr_event *ksr_hold_states_dsp(const ksr_gates *gates, const int16_t *h, const uint16_t *threshold, int16_t *held,
                               int32_t first, int32_t count, int32_t h_shift, ksr_event *event) {
  const int32_t shift = gates->operand.shift, is_fast = shift >= 8 && shift <= 24;
  const int32_t pairs = is_fast && are_words(h, threshold, held) ? count & ~1 : 0;
  if (pairs) {
    const hold_arguments arguments = {h + pairs, first, event, 16 + h_shift,
                                      gates->operand.multiplier << (24 - shift)};
    event = hold_states(h, threshold, held, &arguments);
  }
  if (pairs == count) return event;
  return ksr_hold_states_portable(gates, h + pairs, threshold + pairs, held + pairs, first + pairs, count - pairs,
                                  h_shift, event);
}

#endif /* KSR_DSP && KSR_WITH_HOLDS */
