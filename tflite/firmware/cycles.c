#include "cycles.h"

/* How instructions are timed. */
typedef enum kind {
  OTHER,
  LOAD,
  STORE,          /* base and constant */
  STORE_INDEXED,  /* base and register */
  MULTIPLE,       /* several registers, loaded or stored */
  MULTIPLY_ADD,
  MULTIPLY_LONG,
  MULTIPLY_ADD_LONG,
  DIVIDE,
  LINK,         /* BL */
  TABLE_BRANCH,
  SYSTEM,       /* MRS, MSR and barriers */
  LOOP_END,     /* LE, LETP */
  FLOAT_DIVIDE,
  FLOAT_MULTIPLY_ADD,
  FLOAT_TRANSFER, /* two core registers */
  VECTOR,
} kind;

enum { NO_REGISTER = -1, VECTOR_MEMORY = 1, VECTOR_INTEGER, VECTOR_MULTIPLY };

typedef struct decoded {
  kind kind;
  int32_t count;    /* MULTIPLE: words */
  int32_t target;   /* LOAD: the register; else NO_REGISTER */
  int32_t base, index;
  int32_t pipeline; /* VECTOR */
} decoded;

static int32_t ones(uint32_t bits) {
  int32_t count = 0;
  for (; bits; bits &= bits - 1) ++count;
  return count;
}

static decoded memory(kind what, uint32_t target, uint32_t base, int32_t index) {
  const decoded d = {what, 1, what == LOAD ? (int32_t)target : NO_REGISTER, (int32_t)base, index, 0};
  return d;
}

static decoded simple(kind what, int32_t count) {
  const decoded d = {what, count, NO_REGISTER, NO_REGISTER, NO_REGISTER, 0};
  return d;
}

static decoded narrow(uint32_t op) {
  const uint32_t low = op & 7, middle = op >> 3 & 7, high = op >> 8 & 7;
  switch (op >> 12) {
    case 4:
      if (op >> 11 == 9) return memory(LOAD, high, 15, NO_REGISTER);
      break;
    case 5: return memory((op >> 9 & 7) < 3 ? STORE_INDEXED : LOAD, low, middle, (int32_t)(op >> 6 & 7));
    case 6:
    case 7:
    case 8: return memory(op & 0x800 ? LOAD : STORE, low, middle, NO_REGISTER);
    case 9: return memory(op & 0x800 ? LOAD : STORE, high, 13, NO_REGISTER);
    case 11:
      if ((op & 0x0600) == 0x0400) return simple(MULTIPLE, ones(op & 0x1ff)); /* PUSH, POP */
      break;
    case 12: return simple(MULTIPLE, ones(op & 0xff)); /* LDM, STM */
    default: break;
  }
  return simple(OTHER, 1);
}

/* Loads, stores and arithmetic of the floating point unit. */
static decoded scalar_float(uint32_t first, uint32_t second) {
  const int32_t is_double = (second >> 8 & 15) == 11;
  if ((first & 0xffe0) == 0xec40) return simple(FLOAT_TRANSFER, 2);
  if ((first & 0xfe00) == 0xec00) {
    const int32_t is_single = (first & 0x0120) == 0x0100;
    return simple(MULTIPLE, is_single ? 1 + is_double : (int32_t)(second & 0xff));
  }
  if ((first & 0xff00) == 0xee00 && !(second & 0x10)) {
    const uint32_t operation = (first >> 5 & 4) | (first >> 4 & 3);
    const int32_t is_root = operation == 7 && (first & 15) == 1 && (second & 0xc0) == 0xc0;
    if (operation == 4 || is_root) return simple(FLOAT_DIVIDE, 1);
    if (operation <= 1 || operation == 5 || operation == 6) return simple(FLOAT_MULTIPLY_ADD, 1);
  }
  return simple(OTHER, 1);
}

static decoded vector(uint32_t first, uint32_t second) {
  const uint32_t operation = second >> 8 & 15, has_four = second & 0x10;
  decoded d = simple(VECTOR, 1);
  d.pipeline = VECTOR_INTEGER;
  if ((first & 0xee00) == 0xec00) {
    if (first & 0x01a0) d.pipeline = VECTOR_MEMORY; /* else moves of two lanes */
  } else if ((first & 0xef00) == 0xee00) {
    if (operation == 14) d.pipeline = VECTOR_MULTIPLY;
  } else if ((operation == 9 && has_four) || (operation == 11 && !has_four) || operation >= 12) {
    d.pipeline = VECTOR_MULTIPLY; /* VMUL, VQDMULH, and floating point */
  }
  return d;
}

static decoded wide(ksr_core core, uint32_t first, uint32_t second) {
  const uint32_t base = first & 15, target = second >> 12, operation = first >> 4 & 7;
  if ((first & 0xec00) == 0xec00) {
    const uint32_t coprocessor = second >> 8 & 15;
    const int32_t is_scalar = (first & 0x1000) == 0 && coprocessor >= 9 && coprocessor <= 11 && (first >> 8) != 0xef;
    const int32_t is_select = (first & 0xff00) == 0xfe00 && coprocessor >= 9 && coprocessor <= 11;
    return core != KSR_CORTEX_M55 || is_scalar || is_select ? scalar_float(first, second) : vector(first, second);
  }
  if ((first & 0xfe40) == 0xe800) return simple(MULTIPLE, ones(second));
  if ((first & 0xfe40) == 0xe840) {
    if ((first & 0xfff0) == 0xe8d0 && (second & 0xffe0) == 0xf000) return simple(TABLE_BRANCH, 1);
    return (first & 0x0120) ? simple(MULTIPLE, 2) : simple(MULTIPLE, 1); /* LDRD and STRD; exclusive ones */
  }
  if ((first & 0xfe00) == 0xf800) {
    const int32_t is_indexed = base != 15 && !(first & 0x80) && !(second & 0x0fc0);
    const kind what = first & 0x10 ? LOAD : is_indexed ? STORE_INDEXED : STORE;
    return memory(what, target, base, is_indexed ? (int32_t)(second & 15) : NO_REGISTER);
  }
  if ((first & 0xff80) == 0xfb00) {
    return simple(operation == 0 && ((second >> 4 & 15) || target != 15) ? MULTIPLY_ADD : OTHER, 1);
  }
  if ((first & 0xff80) == 0xfb80) {
    return simple(operation & 1 ? DIVIDE : operation < 4 ? MULTIPLY_LONG : MULTIPLY_ADD_LONG, 1);
  }
  if ((first & 0xf800) == 0xf000) {
    if ((first & 0xffcf) == 0xf00f && (second & 0xf001) == 0xc001) return simple(LOOP_END, 1);
    if ((second & 0xd000) == 0xd000) return simple(LINK, 1);
    if ((second & 0xd000) == 0x8000 && (first & 0x0380) == 0x0380) return simple(SYSTEM, 1);
  }
  return simple(OTHER, 1);
}

static uint32_t cycles_m0plus(const decoded *d) {
  switch (d->kind) {
    case LOAD:
    case STORE:
    case STORE_INDEXED:
    case LINK: return 2;
    case MULTIPLE: return 1u + (uint32_t)d->count;
    case SYSTEM: return 3;
    default: return 1;
  }
}

/* A load takes two cycles. The second one overlaps with the first one of a following load or store that does not use
 * its result. */
static uint32_t cycles_m3_m4(ksr_core core, const decoded *d, const ksr_cycles_before *before) {
  const int32_t is_m3 = core == KSR_CORTEX_M3;
  const int32_t overlaps = before->is_load && before->target != d->base && before->target != d->index;
  switch (d->kind) {
    case LOAD:
    case STORE_INDEXED: return overlaps ? 1 : 2;
    case MULTIPLE: return 1u + (uint32_t)d->count;
    case MULTIPLY_ADD: return is_m3 ? 2 : 1;
    case MULTIPLY_LONG: return is_m3 ? 4 : 1;
    case MULTIPLY_ADD_LONG: return is_m3 ? 6 : 1;
    case DIVIDE: return 7;
    case TABLE_BRANCH:
    case FLOAT_TRANSFER: return 2;
    case FLOAT_MULTIPLY_ADD: return 3;
    case FLOAT_DIVIDE: return 14;
    default: return 1;
  }
}

static uint32_t cycles_m55(const decoded *d, const ksr_cycles_before *before, int32_t is_second_of_pair) {
  switch (d->kind) {
    case MULTIPLE: return (uint32_t)(d->count + 1) / 2;
    case DIVIDE: return 7;
    case TABLE_BRANCH: return 2;
    case FLOAT_DIVIDE: return 15;
    case LOOP_END: return 0; /* known to the fetch unit from the second iteration on */
    case VECTOR: return before->pipeline && before->pipeline != d->pipeline ? 1 : 2;
    default: return is_second_of_pair ? 0 : 1;
  }
}

/* NOP, IT, B, ADD and SUB of a constant, MOV, UXTB, UXTH, SXTB, SXTH. */
static int32_t pairs_with_any(uint32_t op) {
  const int32_t is_branch = (op & 0xf800) == 0xe000 || ((op & 0xf000) == 0xd000 && (op & 0x0e00) != 0x0e00);
  return (op & 0xff00) == 0xbf00 || is_branch || (op & 0xfc00) == 0x1c00 || (op & 0xf800) == 0x2000 ||
         (op & 0xf000) == 0x3000 || (op & 0xff00) == 0x4600 || (op & 0xff00) == 0xb200;
}

static uint32_t halfword(const uint8_t *bytes) { return bytes[0] | (uint32_t)bytes[1] << 8; }

uint32_t ksr_cycles(ksr_core core, const uint8_t *instruction, uint32_t bytes, ksr_cycles_before *before) {
  const uint32_t first = halfword(instruction);
  const int32_t is_narrow = bytes == 2, can_pair = is_narrow && pairs_with_any(first);
  const int32_t is_second = is_narrow && before->is_narrow && (can_pair || before->can_pair);
  const decoded d = is_narrow ? narrow(first) : wide(core, first, halfword(instruction + 2));
  const uint32_t cycles = core == KSR_CORTEX_M0PLUS ? cycles_m0plus(&d)
                          : core == KSR_CORTEX_M55  ? cycles_m55(&d, before, is_second)
                                                    : cycles_m3_m4(core, &d, before);
  before->pipeline = (int8_t)d.pipeline;
  before->is_load = d.kind == LOAD;
  before->target = (int8_t)d.target;
  before->is_narrow = (int8_t)(is_narrow && !is_second && d.kind != MULTIPLE);
  before->can_pair = (int8_t)can_pair;
  return cycles;
}

uint32_t ksr_cycles_taken(ksr_core core, const uint8_t *branch, uint32_t bytes) {
  if (core == KSR_CORTEX_M0PLUS) return branch[1] == 0xbd ? 2 : 1; /* POP to the program counter, and others */
  if (bytes == 4 && wide(core, halfword(branch), halfword(branch + 2)).kind == LOOP_END) return 0;
  return 2;
}

uint32_t ksr_cycles_straight(ksr_core core, const uint8_t *code, uint32_t bytes) {
  ksr_cycles_before before = {0, 0, 0, 0, 0};
  uint32_t cycles = 0;
  for (uint32_t at = 0, size; at < bytes; at += size) {
    size = halfword(code + at) >> 11 >= 0x1d ? 4 : 2;
    cycles += ksr_cycles(core, code + at, size, &before);
  }
  return cycles;
}
