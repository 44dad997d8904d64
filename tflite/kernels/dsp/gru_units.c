/* 20 instructions a unit, 13 without a reset gate, for Armv7E-M and Armv8-M with the DSP extension: the saturation of a
 * table index takes its shift along, and the reset gate's product is added in one instruction. */
#include "gru_units.h"

#if defined(KSR_DSP) && !KSR_SMALL

/* In the order in which they are loaded; `round` for the state's product, `end` of the states. */
typedef struct units_arguments {
  const int32_t *z, *x;
  int32_t stride_bytes;
  int32_t multiplier[4];
  const int16_t *sigmoid, *tanh;
  int32_t round;
  int16_t *state;
  const int16_t *pairs_end, *end;
} units_arguments;

/* r0 z and r, r1 x and y, r2 stride, r3 to r6 multipliers, r7 sigmoid, r8 tanh, r9 round, r10 state */
#define UNIT(to_tanh)                       \
  "ldr r11, [r0, r2]\n"                     \
  "smmul r11, r11, r4\n"                    \
  "ssat r11, #10, r11\n"                    \
  "ldrsh r11, [r7, r11, lsl #1]\n"          \
  "ldr r12, [r1, r2]\n"                     \
  "smmul r12, r12, r6\n"                    \
  "ldr lr, [r1], #4\n"                      \
  "smmul lr, lr, r5\n"                      \
  "smlawb lr, r12, r11, lr\n"               \
  "ssat lr, #10, lr" to_tanh "\n"           \
  "ldrsh lr, [r8, lr, lsl #1]\n"            \
  "ldr r11, [r0], #4\n"                     \
  "smmul r11, r11, r3\n"                    \
  "ssat r11, #10, r11\n"                    \
  "ldrsh r11, [r7, r11, lsl #1]\n"          \
  "ldrsh r12, [r10]\n"                      \
  "subs r12, r12, lr\n"                     \
  "mla r12, r12, r11, r9\n"                 \
  "add lr, lr, r12, asr #15\n"              \
  "strh lr, [r10], #2\n"

/* The ends of the states lie on the stack. */
#define DEFINE(name, to_tanh)                                                  \
  __attribute__((naked)) static void name(const units_arguments *arguments) {  \
    __asm__ volatile(                                                          \
        ".syntax unified\n"                                                    \
        "push {r4-r11, lr}\n"                                                  \
        "ldrd r1, r2, [r0, #44]\n"                                             \
        "push {r1, r2}\n"                                                      \
        "ldm r0, {r0-r10}\n"                                                   \
        "b 2f\n"                                                               \
        "1:\n" UNIT(to_tanh) UNIT(to_tanh)                                     \
        "2: ldr r11, [sp]\n"                                                   \
        "cmp r10, r11\n"                                                       \
        "bne 1b\n"                                                             \
        "ldr r11, [sp, #4]\n"                                                  \
        "cmp r10, r11\n"                                                       \
        "beq 3f\n" UNIT(to_tanh)                                               \
        "3: add sp, #8\n"                                                      \
        "pop {r4-r11, pc}\n");                                                 \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE(units_of_7_bits, "")
DEFINE(units_of_8_bits, ", asr #1")
DEFINE(units_of_9_bits, ", asr #2")
DEFINE(units_of_10_bits, ", asr #3")

void ksr_gru_units_i8_dsp(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state, int32_t units) {
  static void (*const by_bits[])(const units_arguments *) = {units_of_7_bits, units_of_8_bits, units_of_9_bits,
                                                             units_of_10_bits};
  const units_arguments arguments = {
      acc, acc + 2 * stride, stride * (int32_t)sizeof(int32_t),
      {gates->multiplier[0], gates->multiplier[1], gates->multiplier[2], gates->multiplier[3]},
      ksr_sigmoid_table + 512, ksr_tanh_table + 512, 1 << 14, state, state + (units & ~1), state + units};
  by_bits[gates->to_tanh](&arguments);
}

/* Without a reset gate; in the order in which they are loaded. */
typedef struct light_arguments {
  const int32_t *z, *g;
  int32_t multiplier_z, multiplier_g;
  const int16_t *sigmoid, *tanh;
  int32_t round;
  int16_t *state;
  const int16_t *pairs_end, *end;
} light_arguments;

/* r0 z, r1 g, r2 and r3 multipliers, r4 sigmoid, r5 tanh, r6 round, r7 state */
#define LIGHT_UNIT                     \
  "ldr r10, [r1], #4\n"                \
  "smmul r10, r10, r3\n"               \
  "ssat r10, #10, r10\n"               \
  "ldrsh r10, [r5, r10, lsl #1]\n"     \
  "ldr r11, [r0], #4\n"                \
  "smmul r11, r11, r2\n"               \
  "ssat r11, #10, r11\n"               \
  "ldrsh r11, [r4, r11, lsl #1]\n"     \
  "ldrsh r12, [r7]\n"                  \
  "subs r12, r12, r10\n"               \
  "mla r12, r12, r11, r6\n"            \
  "add r10, r10, r12, asr #15\n"       \
  "strh r10, [r7], #2\n"

__attribute__((naked)) static void light_units(const light_arguments *arguments) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldm r0, {r0-r9}\n"
      "b 2f\n"
      "1:\n" LIGHT_UNIT LIGHT_UNIT
      "2: cmp r7, r8\n"
      "bne 1b\n"
      "cmp r7, r9\n"
      "beq 3f\n" LIGHT_UNIT
      "3: pop {r4-r11, pc}\n");
}

void ksr_light_gru_units_i8_dsp(const ksr_gates *gates, const int32_t *acc, int32_t stride, int16_t *state,
                                int32_t units) {
  const light_arguments arguments = {
      acc, acc + 2 * stride, gates->multiplier[0], gates->multiplier[2], ksr_sigmoid_table + 512,
      ksr_tanh_table + 512, 1 << 14, state, state + (units & ~1), state + units};
  if (gates->to_tanh) {
    ksr_light_gru_units_i8_portable(gates, acc, stride, state, units);
  } else {
    light_units(&arguments);
  }
}

#endif /* KSR_DSP && !KSR_SMALL */
