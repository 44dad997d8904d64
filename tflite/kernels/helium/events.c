/* Lists of events by the M-profile vector extension. An event is a word: its source in the lower half, its value in the
 * upper one. */
#include "events.h"

#ifdef KSR_HELIUM

#include "lanes.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* Eight units at a time: r0 cells, r1 thresholds, r3 source of the first lane, r5 reset, r6 next event, r8 cell of
 * unit 0 */
__attribute__((naked)) ksr_event *ksr_events_of_helium(int16_t *cell, const int16_t *threshold, int32_t first,
                                                       int32_t end, int32_t reset, ksr_event *event) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldrd r5, r6, [sp, #36]\n"
      "mov r7, #0xc0000000\n"
      "mov r8, r0\n"
      "add r0, r0, r2, lsl #1\n"
      "add r1, r1, r2, lsl #1\n"
      "sub r4, r3, r2\n"
      "mov r3, r2\n"
      "wlstp.16 lr, r4, 5f\n"
      "1: vldrh.16 q0, [r0]\n"
      "vldrh.16 q1, [r1], #16\n"
      "vcmp.s16 gt, q0, q1\n"
      FOR_EACH_LANE("add r10, r3, r10, lsr #1\n",
                    "ldrh r4, [r8, r10, lsl #1]\n"
                    "pkhbt r4, r10, r4, lsl #16\n"
                    "str r4, [r6], #4\n")
      "cbz r5, 3f\n"
      "vsub.i16 q0, q0, q1\n"
      "vpst\n"
      "vstrht.16 q0, [r0]\n"
      "3: add r0, #16\n"
      "add r3, #8\n"
      "letp lr, 1b\n"
      "5: mov r0, r6\n"
      "pop {r4-r11, pc}\n");
}

/* Sixteen units at a time: r0 y, r3 source of the first lane, r5 shift, r6 next event, r8 y of unit 0, r9 silence */
__attribute__((naked)) ksr_event *ksr_events_read_helium(const int8_t *y, int32_t first, int32_t end, int32_t h_shift,
                                                         ksr_event *event) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldr r6, [sp, #36]\n"
      "add r5, r3, #16\n"
      "mov r7, #0x80000000\n"
      "mov r8, r0\n"
      "mvn r9, #127\n"
      "add r0, r0, r1\n"
      "sub r4, r2, r1\n"
      "mov r3, r1\n"
      "wlstp.8 lr, r4, 5f\n"
      "1: vldrb.8 q0, [r0], #16\n"
      "vcmp.i8 ne, q0, r9\n"
      FOR_EACH_LANE("add r10, r3, r10\n",
                    "ldrb r4, [r8, r10]\n"
                    "eor r4, r4, #128\n"
                    "lsl r4, r4, r5\n"
                    "orr r4, r4, r10\n"
                    "str r4, [r6], #4\n")
      "3: add r3, #16\n"
      "letp lr, 1b\n"
      "5: mov r0, r6\n"
      "pop {r4-r11, pc}\n");
}

/* In the order in which they are loaded. */
typedef struct send_arguments {
  int32_t operand_multiplier, minus_operand_shift;
  int32_t shift; /* 16 and that of h */
  int32_t output_multiplier, minus_output_shift, output_zero_point;
  int32_t y_zero_point;
  int8_t *output, *y;
} send_arguments;

/* Four events at a time: r2 and r3 to the operand, r4 shift, r5 to r7 to the output, r8 zero point of y, r9 output,
 * r10 y, which may be the same: the output remains */
#define DEFINE_SEND(name, write)                                                                                     \
  __attribute__((naked)) static void name(ksr_event *event, int32_t count, const send_arguments *arguments) {        \
    __asm__ volatile(                                                                                                \
        ".syntax unified\n"                                                                                          \
        "push {r4-r10, lr}\n"                                                                                        \
        "ldm r2, {r2-r10}\n"                                                                                         \
        "wlstp.32 lr, r1, 2f\n"                                                                                      \
        "1: vldrw.32 q0, [r0]\n"                                                                                     \
        "vmovlb.u16 q1, q0\n"                                                                                        \
        "vmovlt.s16 q0, q0\n"                                                                                        \
        "vmul.i32 q2, q0, r2\n"                                                                                      \
        "vrshl.s32 q2, r3\n"                                                                                         \
        "vqshlu.s32 q2, q2, #24\n"                                                                                   \
        "vshr.u32 q2, q2, #24\n" write                                                                               \
        "vshl.u32 q2, r4\n"                                                                                          \
        "vorr q2, q2, q1\n"                                                                                          \
        "vstrw.32 q2, [r0], #16\n"                                                                                   \
        "letp lr, 1b\n"                                                                                              \
        "2: pop {r4-r10, pc}\n");                                                                                    \
  }

DEFINE_SEND(send, "")
DEFINE_SEND(send_and_write,
            "vadd.i32 q3, q2, r8\n"
            "vstrb.32 q3, [r10, q1]\n"
            "vmul.i32 q0, q0, r5\n"
            "vrshl.s32 q0, r6\n"
            "vadd.i32 q0, q0, r7\n"
            "vqshl.s32 q0, q0, #24\n"
            "vshr.s32 q0, q0, #24\n"
            "vstrb.32 q0, [r9, q1]\n")

void ksr_events_send_helium(ksr_event *event, const ksr_event *end, const ksr_gates *gates, int32_t h_shift,
                            int8_t *output, int8_t *y) {
  const int32_t y_zero_point = -128;
  send_arguments arguments = {gates->operand.multiplier, -gates->operand.shift, 16 + h_shift,
                              gates->output.multiplier, -gates->output.shift, gates->output_zero_point,
                              y_zero_point, output, y ? y : output};
  if (!output) { /* y in both places */
    arguments.output_multiplier = gates->operand.multiplier;
    arguments.minus_output_shift = -gates->operand.shift;
    arguments.output_zero_point = y_zero_point;
    arguments.output = y;
  }
  (output || y ? send_and_write : send)(event, (int32_t)(end - event), &arguments);
}

#endif /* KSR_HELIUM */
