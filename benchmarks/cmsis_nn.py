"""Counts the instructions of a dense layer in CMSIS-NN and in this library, in one harness.

    CMSIS_NN_DIR=path/to/CMSIS-NN python benchmarks/cmsis_nn.py

Counts a call of `arm_fully_connected_s8` of that source tree in QEMU, built at -O2, for the layer "Dense 128 x 64" of
kernel_mcu.py. The count includes the function only; its sums of weights are computed before. Every output is compared
with the function's definition in NumPy. This library's count includes the copying of input and output.
"""

import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kernel_mcu
import numpy as np
import random_layers

from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.firmware.c_source import array
from keras_sparse_rnn.firmware.image import Recording
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.firmware.project import write_plain_c

CORES = ("M0+", "M3", "M4", "M55")
SOURCES = (
    "FullyConnectedFunctions/arm_fully_connected_s8.c",
    "FullyConnectedFunctions/arm_vector_sum_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
)
# This library's own sources are compiled with warnings that those do not heed.
QUIET = "".join(
    f'#pragma GCC diagnostic ignored "-W{warning}"\n' for warning in ("pedantic", "extra", "unused-parameter")
)
MODEL = """\
#include "model.h"

#include "ksr/arm_nnfunctions.h"
#include "ksr/ksr_align.h"

{weights}{bias}
static int32_t sums[{units}];

ksr_status model_init(void) {{
  return (ksr_status)arm_vector_sum_s8(sums, {inputs}, {units}, weights, 0, 0, bias);
}}

void model_reset(void) {{}}

void model_step(const int8_t x[{inputs}], int8_t y[{units}]) {{
  const cmsis_nn_context context = {{sums, sizeof(sums)}};
  const cmsis_nn_fc_params params = {{0, 0, 0, {{-128, 127}}}};
  const cmsis_nn_per_tensor_quant_params scale = {{{multiplier}, {shift}}};
  const cmsis_nn_dims one = {{1, 1, 1, {inputs}}}, filter = {{{inputs}, 1, 1, {units}}}, of_bias = {{1, 1, 1, {units}}};
  arm_fully_connected_s8(&context, &params, &scale, &one, x, &filter, weights, &of_bias, bias, &of_bias, y);
}}

void model_run(const int8_t x[MODEL_STEPS * {inputs}], int8_t y[MODEL_STEPS * {units}]) {{ model_step(x, y); }}
"""


def main():
    root = Path(os.environ.get("CMSIS_NN_DIR", ""))
    if not (root / "Source" / SOURCES[0]).exists():
        raise SystemExit("CMSIS_NN_DIR must name a source tree of CMSIS-NN.")
    _, units, inputs, sparsity, _ = kernel_mcu.TABLE["Dense 128 x 64"]
    op, x = random_layers.sparse_dense(units, inputs, 4, sparsity)
    recording = Recording(PlainC(random_layers.to_model(op, x), "model"), [x], [outputs(op, x)], len(x))
    print("| core | CMSIS-NN | this library |\n|---|---:|---:|", flush=True)
    for core in CORES:
        cpu, _ = kernel_mcu.CORES[core]
        cost = qemu.project_cost([recording], cpu, "-O2", lambda codes, folder: write(root, op, codes, folder))
        own = kernel_mcu.measure("Dense 128 x 64", core).mean_instructions
        print(f"| {core} | {cost.instructions['model']:,.0f} | {own:,.0f} |", flush=True)


def write(root, op, codes, folder):
    """Writes the model as a project whose step calls CMSIS-NN."""
    names = write_plain_c(codes, folder)
    shutil.copytree(root / "Include", folder / "ksr", dirs_exist_ok=True)
    for source in SOURCES:
        path = root / "Source" / source
        (folder / "ksr" / path.name).write_text(QUIET + path.read_text())
    values = {"weights": array("weights", op.kernel[:, 0].T), "bias": array("bias", op.bias.astype(np.int32))}
    values |= {"inputs": op.kernel.shape[0], "units": op.options.units}
    values |= {"multiplier": int(op.multiplier[0]), "shift": 31 - int(op.shift[0])}
    (folder / "model.c").write_text(MODEL.format(**values))
    return names


def outputs(op, x):
    """Returns the outputs of CMSIS-NN: it first rounds the product with the multiplier, then the quotient by a power of
    two."""
    sums = x.astype(np.int64) @ op.kernel[:, 0].astype(np.int64) + op.bias
    product = (sums * op.multiplier.astype(np.int64) + (1 << 30)) >> 31
    exponent = op.shift.astype(np.int64) - 31
    rest = product & ((1 << exponent) - 1)
    rounded = (product >> exponent) + (rest > ((1 << exponent) - 1 >> 1) + (product < 0))
    return np.clip(rounded, -128, 127).astype(np.int8)


if __name__ == "__main__":
    main()
