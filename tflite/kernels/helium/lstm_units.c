/* Four units at a time by the M-profile vector extension, 38 instructions; sigmoid and tanh are gathered from their
 * tables. */
#include "lstm_units.h"

#if defined(KSR_HELIUM) && !KSR_SMALL

#include "gru_units.h"

/* In the order in which they are loaded; multipliers halved, for a product that doubles. */
typedef struct units_arguments {
  const int32_t *i, *f, *g, *o;
  int16_t *c, *hidden;
  int32_t multiplier[4];
  const int16_t *sigmoid, *tanh;
  int32_t minus_bits; /* of the cell */
  int32_t to_index; /* the shift that takes a cell to its index */
} units_arguments;

#define LOOK_UP(to, from, table)         \
  "vqshl.s32 " from ", " from ", #22\n"  \
  "vshr.s32 " from ", " from ", #22\n"   \
  "vldrh.s32 " to ", [" table ", " from ", uxtw #1]\n"

#define GATE(to, acc, multiplier, table)       \
  "vldrw.32 q0, [" acc "], #16\n"              \
  "vqdmulh.s32 q0, q0, " multiplier "\n" LOOK_UP(to, "q0", table)

/* r0 to r3 accumulators, r4 cells, r5 hidden states, which take the place of accumulators that are used up, r6 to r9
 * multipliers, r10 sigmoid, r11 tanh, r12 minus_bits */
#pragma GCC diagnostic ignored "-Wunused-parameter"
__attribute__((naked)) static void units_in_fours(const units_arguments *arguments, int32_t units) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "dlstp.32 lr, r1\n"
      "ldr r1, [r0, #36]\n"
      "ldr r2, [r0, #52]\n"
      "push {r1, r2}\n"
      "ldm r0, {r0-r12}\n"
      "1:\n" GATE("q1", "r1", "r7", "r10")
      "vldrh.s32 q2, [r4]\n"
      "vmul.i32 q1, q1, q2\n" GATE("q2", "r0", "r6", "r10") GATE("q3", "r2", "r8", "r11")
      "vmul.i32 q2, q2, q3\n"
      "vshl.s32 q2, r12\n"
      "vadd.i32 q1, q1, q2\n"
      "vrshr.s32 q1, q1, #15\n"
      "vqshl.s32 q1, q1, #16\n"
      "vshr.s32 q1, q1, #16\n"
      "vstrh.32 q1, [r4], #8\n" GATE("q2", "r3", "r9", "r10")
      "ldr r9, [sp, #4]\n" /* no register is left for both */
      "vrshl.s32 q1, r9\n" LOOK_UP("q3", "q1", "r11")
      "vmul.i32 q2, q2, q3\n"
      "vrshr.s32 q2, q2, #15\n"
      "vstrh.32 q2, [r5], #8\n"
      "ldr r9, [sp]\n"
      "letp lr, 1b\n"
      "add sp, #8\n"
      "pop {r4-r11, pc}\n");
}

void ksr_lstm_units_i8_helium(const ksr_gates *gates, int32_t cell_bits, int32_t *acc, int32_t stride, int16_t *c,
                              int8_t *h, int8_t *output, int32_t units) {
  const int32_t *m = gates->multiplier;
  if ((m[0] | m[1] | m[2] | m[3]) & 1) {
    ksr_lstm_units_i8_dsp(gates, cell_bits, acc, stride, c, h, output, units);
    return;
  }
  int16_t *hidden = (int16_t *)(void *)acc;
  const units_arguments arguments = {acc, acc + stride, acc + 2 * stride, acc + 3 * stride, c, hidden,
                                     {m[0] / 2, m[1] / 2, m[2] / 2, m[3] / 2},
                                     ksr_sigmoid_table + 512, ksr_tanh_table + 512, -cell_bits, cell_bits - 8};
  units_in_fours(&arguments, units);
  ksr_write_states_i8(gates->operand, 0, hidden, units, h);
  if (output) ksr_write_states_i8(gates->output, gates->output_zero_point, hidden, units, output);
}

#endif /* KSR_HELIUM && !KSR_SMALL */
