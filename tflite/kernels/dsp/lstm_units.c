/* 32 instructions a unit, and four each for what is read and put out, for Armv7E-M and Armv8-M with the DSP
 * extension. */
#include "lstm_units.h"

#if defined(KSR_DSP) && !KSR_SMALL

#include "gru_units.h"

/* In the order in which they are loaded; the last ones stay on the stack. */
typedef struct units_arguments {
  const int32_t *i, *g;
  int32_t to_second; /* bytes */
  int32_t multiplier[4];
  const int16_t *sigmoid, *tanh;
  int16_t *c, *hidden;
  int32_t bits;     /* of the cell */
  int32_t to_index; /* takes a cell to twice its index, with 16 bits of shift */
  int32_t round;    /* 1: half an index */
  const int16_t *end; /* of c */
} units_arguments;

/* r0 i and f, r1 g and o, r2 to the second of each once the first is read, r3 to r6 multipliers, r7 sigmoid, r8 tanh,
 * r9 cells, r10 hidden states, which take the place of accumulators that are used up */
#define UNIT                             \
  "ldr r12, [r0], #4\n"                  \
  "smmul r12, r12, r3\n"                 \
  "ssat r12, #10, r12\n"                 \
  "ldrsh r12, [r7, r12, lsl #1]\n"       \
  "ldr lr, [r1], #4\n"                   \
  "smmul lr, lr, r5\n"                   \
  "ssat lr, #10, lr\n"                   \
  "ldrsh lr, [r8, lr, lsl #1]\n"         \
  "mul r12, r12, lr\n"                   \
  "ldr lr, [sp]\n"                       \
  "asr r12, r12, lr\n"                   \
  "add r12, r12, #0x4000\n"              \
  "ldr r11, [r0, r2]\n"                  \
  "smmul r11, r11, r4\n"                 \
  "ssat r11, #10, r11\n"                 \
  "ldrsh r11, [r7, r11, lsl #1]\n"       \
  "ldrsh lr, [r9]\n"                     \
  "mla r11, r11, lr, r12\n"              \
  "ssat r11, #16, r11, asr #15\n"        \
  "strh r11, [r9], #2\n"                 \
  "ldrd r12, lr, [sp, #4]\n"             \
  "smlawb r11, r12, r11, lr\n"           \
  "ssat r11, #10, r11, asr #1\n"         \
  "ldrsh r11, [r8, r11, lsl #1]\n"       \
  "ldr lr, [r1, r2]\n"                   \
  "smmul lr, lr, r6\n"                   \
  "ssat lr, #10, lr\n"                   \
  "ldrsh lr, [r7, lr, lsl #1]\n"         \
  "mov r12, #0x4000\n"                   \
  "mla r11, r11, lr, r12\n"              \
  "asr r11, r11, #15\n"                  \
  "strh r11, [r10], #2\n"

#pragma GCC diagnostic ignored "-Wunused-parameter"
__attribute__((naked)) static void units_of(const units_arguments *arguments) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "add r3, r0, #44\n"
      "ldm r3, {r1, r2, r4, r5}\n"
      "push {r1, r2, r4, r5}\n"
      "ldm r0, {r0-r10}\n"
      "1:\n" UNIT
      "ldr r12, [sp, #12]\n"
      "cmp r9, r12\n"
      "bne 1b\n"
      "add sp, #16\n"
      "pop {r4-r11, pc}\n");
}

void ksr_lstm_units_i8_dsp(const ksr_gates *gates, int32_t cell_bits, int32_t *acc, int32_t stride, int16_t *c,
                           int8_t *h, int8_t *output, int32_t units) {
  int16_t *hidden = (int16_t *)(void *)acc;
  const units_arguments arguments = {
      acc, acc + 2 * stride, (stride - 1) * (int32_t)sizeof(int32_t),
      {gates->multiplier[0], gates->multiplier[1], gates->multiplier[2], gates->multiplier[3]},
      ksr_sigmoid_table + 512, ksr_tanh_table + 512, c, hidden, cell_bits, 1 << (9 + cell_bits), 1, c + units};
  units_of(&arguments);
  ksr_write_states_i8(gates->operand, 0, hidden, units, h);
  if (output) ksr_write_states_i8(gates->output, gates->output_zero_point, hidden, units, output);
}

#endif /* KSR_DSP && !KSR_SMALL */
