/* A QEMU plugin that counts the instructions executed between two marker instructions, exactly.
 *
 * QEMU's package ships no header for plugins, so the few functions used are declared here (plugin API 1, QEMU 4.2 to 8).
 * The program marks a stretch by `mov r10, r10` and ends it by `mov r11, r11` (marks.h); stretches do not nest. At each
 * end a line "count NUMBER" goes to QEMU's log. The markers themselves are not counted. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int operation, void *, uint64_t);
void qemu_plugin_outs(const char *);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

enum { BEGIN = 0x46d2, END = 0x46db };

static uint64_t executed, at_begin;

static void begin(unsigned cpu, void *unused) {
  (void)cpu, (void)unused;
  at_begin = executed;
}

static void end(unsigned cpu, void *unused) {
  char line[40];
  (void)cpu, (void)unused;
  snprintf(line, sizeof(line), "count %" PRIu64 "\n", executed - at_begin);
  qemu_plugin_outs(line);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
    uint16_t opcode = 0;
    if (qemu_plugin_insn_size(insn) == sizeof(opcode)) memcpy(&opcode, qemu_plugin_insn_data(insn), sizeof(opcode));
    if (opcode == BEGIN) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS, 0);
    } else if (opcode == END) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS, 0);
    } else {
      qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &executed, 1);
    }
  }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  (void)info, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  return 0;
}
