/* An estimate of the cycles that Thumb code takes, from the documented timings of each core, for memory without wait
 * states. It knows opcodes, not values: it ignores the costs of operand values, of waiting for a result and of
 * alignment, and takes the middle of a range that a manual gives.
 *
 * Cortex-M0+: Technical Reference Manual (Arm DDI 0484), table 3-1, with the single-cycle multiplier. Cortex-M3: DDI
 * 0337, table 3-1. Cortex-M4: DDI 0439, tables 3-1 and 7-1, load and store timings 3.3.2. Cortex-M55: no table of
 * Arm's is public; this follows LLVM's model of it (ARMScheduleM55.td): pairs of 16-bit instructions, and vector
 * instructions of two cycles of which the second overlaps with the next one's first where that goes to another
 * pipeline. */
#ifndef KSR_CYCLES_H_
#define KSR_CYCLES_H_

#include <stdint.h>

typedef enum ksr_core { KSR_CORTEX_M0PLUS, KSR_CORTEX_M3, KSR_CORTEX_M4, KSR_CORTEX_M55, KSR_CORES } ksr_core;

/* The state that the previous instruction leaves, on which the cost of the next one depends; starts as zeros. */
typedef struct ksr_cycles_before {
  int8_t pipeline;   /* the vector pipeline that it used; 0: none */
  int8_t is_load;    /* it loaded one register, and the next load or store can overlap with it */
  int8_t target;     /* that register */
  int8_t is_narrow;  /* it has 16 bits and can be the first of a pair */
  int8_t can_pair;   /* it pairs with any other */
} ksr_cycles_before;

/* Cycles of an instruction of 2 or 4 bytes that does not branch, or whose branch is not taken. */
uint32_t ksr_cycles(ksr_core core, const uint8_t *instruction, uint32_t bytes, ksr_cycles_before *before);

/* Additional cycles of a taken branch; 0 at the end of a low-overhead loop (LE). */
uint32_t ksr_cycles_taken(ksr_core core, const uint8_t *branch, uint32_t bytes);

/* Cycles of code without branches. */
uint32_t ksr_cycles_straight(ksr_core core, const uint8_t *code, uint32_t bytes);

#endif /* KSR_CYCLES_H_ */
