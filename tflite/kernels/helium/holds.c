/* Tests of held values by the M-profile vector extension: sixteen inputs or eight states at a time. */
#include "holds.h"

#if defined(KSR_HELIUM) && KSR_WITH_HOLDS

#include "lanes.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* r0 new values, r1 thresholds, r2 held values, r3 source of the first lane, r5 shift, r6 next event, r8 and r9 where
 * source 0 would be among the new and the held values */
__attribute__((naked)) ksr_event *ksr_hold_inputs_helium(const int8_t *x, const uint8_t *threshold, int8_t *held,
                                                         int32_t first, int32_t count, int32_t shift,
                                                         ksr_event *event) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldrd r4, r5, [sp, #36]\n"
      "ldr r6, [sp, #44]\n"
      "add r5, #16\n"
      "mov r7, #0x80000000\n"
      "sub r8, r0, r3\n"
      "sub r9, r2, r3\n"
      "wlstp.8 lr, r4, 5f\n"
      "1: vldrb.8 q0, [r0], #16\n"
      "vldrb.8 q1, [r2]\n"
      "vldrb.8 q2, [r1], #16\n"
      "vabd.s8 q1, q1, q0\n"
      "vcmp.u8 hi, q1, q2\n"
      FOR_EACH_LANE("add r10, r3, r10\n",
                    "ldrsb r4, [r8, r10]\n"
                    "ldrsb r12, [r9, r10]\n"
                    "sub r4, r4, r12\n"
                    "lsl r4, r4, r5\n"
                    "orr r4, r4, r10\n"
                    "str r4, [r6], #4\n")
      "vpst\n"
      "vstrbt.8 q0, [r2]\n"
      "3: add r2, #16\n"
      "add r3, #16\n"
      "letp lr, 1b\n"
      "5: mov r0, r6\n"
      "pop {r4-r11, pc}\n");
}

/* In the order in which they are loaded. */
typedef struct hold_arguments {
  int32_t source; /* the first one's */
  int32_t count;
  int32_t shift; /* 16 and that of the values, so that they come into the upper half of an event */
  ksr_event *event;
  uint32_t lane;
  int32_t multiplier; /* to operands, with 24 bits of shift: 16 in the product, 8 in the saturation */
  int32_t round;
} hold_arguments;

/* Likewise; r8 multiplier, r9 what rounds. Where a state's operand is the same as before, there is no event. */
__attribute__((naked)) static ksr_event *hold_states(const int16_t *h, const uint16_t *threshold, int16_t *held,
                                                     const hold_arguments *arguments) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldm r3, {r3-r9}\n"
      "wlstp.16 lr, r4, 5f\n"
      "1: vldrh.16 q0, [r0]\n"
      "vldrh.16 q1, [r2]\n"
      "vldrh.16 q2, [r1], #16\n"
      "vabd.s16 q1, q1, q0\n"
      "vcmp.u16 hi, q1, q2\n"
      FOR_EACH_LANE("lsr r10, r10, #1\n",
                    "ldrsh r4, [r0, r10, lsl #1]\n"
                    "ldrsh r12, [r2, r10, lsl #1]\n"
                    "smlawb r4, r8, r4, r9\n"
                    "smlawb r12, r8, r12, r9\n"
                    "ssat r4, #8, r4, asr #8\n"
                    "ssat r12, #8, r12, asr #8\n"
                    "sub r4, r4, r12\n"
                    "cbz r4, 4f\n"
                    "add r10, r10, r3\n"
                    "lsl r4, r4, r5\n"
                    "orr r4, r4, r10\n"
                    "str r4, [r6], #4\n"
                    "4:\n")
      "vpst\n"
      "vstrht.16 q0, [r2]\n"
      "3: add r0, #16\n"
      "add r2, #16\n"
      "add r3, #8\n"
      "letp lr, 1b\n"
      "5: mov r0, r6\n"
      "pop {r4-r11, pc}\n");
}

ksr_event *ksr_hold_states_helium(const ksr_gates *gates, const int16_t *h, const uint16_t *threshold, int16_t *held,
                                  int32_t first, int32_t count, int32_t h_shift, ksr_event *event) {
  const int32_t shift = gates->operand.shift;
  if (shift < 8 || shift > 24) {
    return ksr_hold_states_portable(gates, h, threshold, held, first, count, h_shift, event);
  }
  const hold_arguments arguments = {first, count, 16 + h_shift, event, 0xc0000000u,
                                    gates->operand.multiplier << (24 - shift), 1 << 7};
  return hold_states(h, threshold, held, &arguments);
}

#endif /* KSR_HELIUM && KSR_WITH_HOLDS */
