#include "ksr_ops.h"

#include <string.h>

#define ADDRESS(op) &op,
const ksr_op *const ksr_ops[] = {KSR_OPS(ADDRESS) 0};

const ksr_op *ksr_find_op(const char *name) {
  for (const ksr_op *const *op = ksr_ops; *op; ++op) {
    if (strcmp((*op)->name, name) == 0) return *op;
  }
  return 0;
}
