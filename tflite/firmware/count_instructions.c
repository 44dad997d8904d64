/* A QEMU plugin that counts the instructions executed between two marker instructions, exactly, and estimates the
 * cycles that they take on a core (cycles.h).
 *
 * QEMU's package ships no header for plugins, so the few functions used are declared here (plugin API 1, QEMU 4.2 to
 * 8). The program marks the beginning and the end of a stretch (marks.h); stretches do not nest. At each end, a line
 * "count INSTRUCTIONS CYCLES" goes to QEMU's log. A third mark divides a stretch into parts: a line "part
 * INSTRUCTIONS CYCLES" gives what was executed since the previous mark. Marks themselves are not counted. Arguments:
 * isa=riscv, otherwise Thumb; core=cortex-m0plus, cortex-m3, cortex-m4 or cortex-m55, without which the cycles are
 * 0. With addresses=on, the log ends with a line "at ADDRESS INSTRUCTIONS" for each address executed within the
 * stretches. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int operation, void *, uint64_t);
void qemu_plugin_outs(const char *);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

/* The marks, and how long an instruction is. */
typedef struct isa {
  uint32_t begin, end, part;
  uint32_t (*size)(const uint8_t *);
} isa;

static uint32_t thumb_size(const uint8_t *code) { return code[1] >> 3 >= 0x1d ? 4 : 2; }
static uint32_t riscv_size(const uint8_t *code) { return (code[0] & 3) == 3 ? 4 : 2; }

static const isa thumb = {0x46d2, 0x46db, 0x46c9, thumb_size}, riscv = {0x00102013, 0x00202013, 0x00302013, riscv_size};
static const isa *is = &thumb;

static const char *const cores[KSR_CORES] = {"cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55"};
static int core = KSR_CORES; /* not named */

typedef struct sums {
  uint64_t instructions, cycles;
} sums;

static sums executed, at_begin, at_part;

/* A block of code that QEMU translates at once; only its last instruction can branch. */
typedef struct block {
  uint64_t begin, end;
  uint32_t if_taken;
} block;

static const block *before;

/* How often an instruction was executed: in total, before the current stretch, and within stretches. */
typedef struct place {
  struct place *next;
  uint64_t address, executed, at_begin, within;
} place;

static int counts_addresses;
static place *places;

static void enter(unsigned cpu, void *entered) {
  const block *now = entered;
  (void)cpu;
  if (before && now->begin != before->end) executed.cycles += before->if_taken;
  before = now;
}

static void print(const char *what, const sums *since) {
  char line[64];
  snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 "\n", what, executed.instructions - since->instructions,
           executed.cycles - since->cycles);
  qemu_plugin_outs(line);
}

static void begin(unsigned cpu, void *unused) {
  (void)cpu, (void)unused;
  at_begin = at_part = executed;
  for (place *p = places; p; p = p->next) p->at_begin = p->executed;
}

static void part(unsigned cpu, void *unused) {
  (void)cpu, (void)unused;
  print("part", &at_part);
  at_part = executed;
}

static void end(unsigned cpu, void *unused) {
  (void)cpu, (void)unused;
  print("count", &at_begin);
  for (place *p = places; p; p = p->next) p->within += p->executed - p->at_begin;
}

static void finish(qemu_plugin_id_t id, void *unused) {
  char line[64];
  (void)id, (void)unused;
  for (const place *p = places; p; p = p->next) {
    if (!p->within) continue;
    snprintf(line, sizeof(line), "at %" PRIx64 " %" PRIu64 "\n", p->address, p->within);
    qemu_plugin_outs(line);
  }
}

/* The current stretch continues in new code. */
static void count_address(struct qemu_plugin_insn *insn) {
  place *p = calloc(1, sizeof(*p)); /* QEMU holds on to it */
  if (!p) abort();
  p->address = qemu_plugin_insn_vaddr(insn);
  p->next = places;
  places = p;
  qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &p->executed, 1);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  const size_t count = qemu_plugin_tb_n_insns(tb);
  block *made = malloc(sizeof(*made)); /* QEMU holds on to it */
  ksr_cycles_before last = {0, 0, 0, 0, 0};
  (void)id;
  if (!made || count == 0) abort();
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
    /* Not qemu_plugin_insn_size: at the end of a page QEMU looks at the next instruction, and adds its bytes. */
    const uint8_t *data = qemu_plugin_insn_data(insn);
    const uint32_t size = is->size(data);
    uint8_t code[4] = {0, 0, 0, 0};
    memcpy(code, data, size);
    const uint32_t opcode = code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
    if (opcode == is->begin || opcode == is->end || opcode == is->part) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, opcode == is->begin ? begin : opcode == is->end ? end : part,
                                             QEMU_PLUGIN_CB_NO_REGS, 0);
    } else {
      qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &executed.instructions, 1);
      if (counts_addresses) count_address(insn);
      const uint32_t cycles = core == KSR_CORES ? 0 : ksr_cycles((ksr_core)core, code, size, &last);
      if (cycles) {
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &executed.cycles, cycles);
      }
    }
    if (i == 0) made->begin = qemu_plugin_insn_vaddr(insn);
    made->end = qemu_plugin_insn_vaddr(insn) + size;
    made->if_taken = core == KSR_CORES ? 0 : ksr_cycles_taken((ksr_core)core, code, size);
  }
  qemu_plugin_register_vcpu_tb_exec_cb(tb, enter, QEMU_PLUGIN_CB_NO_REGS, made);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    if (strcmp(argv[i], "addresses=on") == 0) counts_addresses = 1;
    if (strcmp(argv[i], "isa=riscv") == 0) is = &riscv;
    for (int k = 0; k < KSR_CORES; ++k) {
      if (strncmp(argv[i], "core=", 5) == 0 && strcmp(argv[i] + 5, cores[k]) == 0) core = k;
    }
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  if (counts_addresses) qemu_plugin_register_atexit_cb(id, finish, 0);
  return 0;
}
