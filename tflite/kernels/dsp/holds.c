/* Tests of held values for Armv7E-M and Armv8-M with the DSP extension: four inputs or two states a word. Differences
 * both ways, the flags GE of the second one, and SEL give magnitudes that no sign bit is missing from; what a
 * saturating subtraction of the thresholds leaves of them has changed. */
#include "holds.h"

#if defined(KSR_DSP) && KSR_WITH_HOLDS

/* In the order in which they are loaded. */
typedef struct hold_arguments {
  const void *end; /* of the new values */
  int32_t source;  /* the first one's */
  int32_t shift;   /* 16 and that of the values, so that they come into the upper half of an event */
  ksr_event *event;
  int32_t multiplier; /* states only: to operands, with 24 bits of shift */
} hold_arguments;

/* r0 new values, r1 thresholds, r2 held values, r3 their end, r4 source, r5 shift, r6 next event, r7 multiplier;
 * r8 new, r9 held, r10 what changed of a word */
#define BEGIN                  \
  ".syntax unified\n"          \
  "push {r4-r11, lr}\n"        \
  "ldm r3, {r3-r7}\n"          \
  "1: ldr r8, [r0], #4\n"      \
  "ldr r9, [r2], #4\n"         \
  "ldr r11, [r1], #4\n"

#define TEST(bits)                      \
  "ssub" bits " r10, r9, r8\n"          \
  "ssub" bits " r12, r8, r9\n"          \
  "sel r10, r12, r10\n"                 \
  "uqsub" bits " r10, r10, r11\n"       \
  "cmp r10, #0\n"                       \
  "bne 3f\n"

#define NEXT(sources)       \
  "2: adds r4, #" sources "\n" \
  "cmp r0, r3\n"            \
  "bne 1b\n"                \
  "mov r0, r6\n"            \
  "pop {r4-r11, pc}\n"

/* What has changed is held from now on. */
#define TAKE(bits)                 \
  "movs r12, #0\n"                 \
  "usub" bits " r12, r12, r10\n"   \
  "sel r9, r9, r8\n"               \
  "str r9, [r2, #-4]\n"            \
  "b 2b\n"

/* An event of source r4 + `at` and the difference of what r11 and r12 hold. */
#define EMIT(at)               \
  "sub r11, r11, r12\n"        \
  "lsl r11, r11, r5\n"         \
  "add r12, r4, #" at "\n"     \
  "orr r11, r11, r12\n"        \
  "str r11, [r6], #4\n"

#define INPUT(at, mask, rotated)       \
  "tst r10, #" mask "\n"               \
  "beq 4f\n"                           \
  "sxtb r11, r8" rotated "\n"          \
  "sxtb r12, r9" rotated "\n" EMIT(at) \
  "4:\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* Of a multiple of four inputs, at least four. */
__attribute__((naked)) static ksr_event *hold_inputs(const int8_t *x, const uint8_t *threshold, int8_t *held,
                                                     const hold_arguments *arguments) {
  __asm__ volatile(BEGIN TEST("8") NEXT("4")
                   "3:\n"
                   INPUT("0", "0xff", "")
                   INPUT("1", "0xff00", ", ror #8")
                   INPUT("2", "0xff0000", ", ror #16")
                   INPUT("3", "0xff000000", ", ror #24")
                   TAKE("8"));
}

/* The half that `shifted` leaves over, if it changed. Where a state's operand is the same as before, there is no
 * event. */
#define STATE(at, shifted, half)        \
  shifted " r11, r10, #16\n"            \
  "beq 4f\n"                            \
  "mov lr, #128\n"                      \
  "smlaw" half " r11, r7, r8, lr\n"     \
  "smlaw" half " r12, r7, r9, lr\n"     \
  "ssat r11, #8, r11, asr #8\n"         \
  "ssat r12, #8, r12, asr #8\n"         \
  "cmp r11, r12\n"                      \
  "beq 4f\n" EMIT(at)                   \
  "4:\n"

/* Of a multiple of two states, at least two. */
__attribute__((naked)) static ksr_event *hold_states(const int16_t *h, const uint16_t *threshold, int16_t *held,
                                                     const hold_arguments *arguments) {
  __asm__ volatile(BEGIN TEST("16") NEXT("2")
                   "3:\n"
                   STATE("0", "lsls", "b")
                   STATE("1", "lsrs", "t")
                   TAKE("16"));
}

/* Some processors are set up to trap at words that are not aligned. */
static int are_words(const void *new_values, const void *threshold, const void *held) {
  return (((uintptr_t)new_values | (uintptr_t)threshold | (uintptr_t)held) & 3u) == 0;
}

ksr_event *ksr_hold_inputs_dsp(const int8_t *x, const uint8_t *threshold, int8_t *held, int32_t first, int32_t count,
                               int32_t shift, ksr_event *event) {
  const int32_t fours = are_words(x, threshold, held) ? count & ~3 : 0;
  if (fours) {
    const hold_arguments arguments = {x + fours, first, 16 + shift, event, 0};
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
    const hold_arguments arguments = {h + pairs, first, 16 + h_shift, event,
                                      gates->operand.multiplier << (24 - shift)};
    event = hold_states(h, threshold, held, &arguments);
  }
  if (pairs == count) return event;
  return ksr_hold_states_portable(gates, h + pairs, threshold + pairs, held + pairs, first + pairs, count - pairs,
                                  h_shift, event);
}

#endif /* KSR_DSP && KSR_WITH_HOLDS */
