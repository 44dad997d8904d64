"""Instructions of a frame behind a FrameGate, computed or skipped, on Cortex-M and RISC-V cores, in QEMU.

    python benchmarks/frame_gate.py

A LightGRU and a dense layer in int8 plain C (-O2), one call of `NAME_step`, everything from the input to the output.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from kernel_mcu import CORES, TABLE_CORES

import keras_sparse_rnn as ksr
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.runtime.model import Model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--inputs", type=int, default=32)
    parser.add_argument("--cores", nargs="+", choices=list(CORES), default=list(TABLE_CORES))
    arguments = parser.parse_args()
    x = np.random.default_rng(0).normal(size=(32, 30, arguments.inputs)).astype("float32")
    layers = [ksr.layers.FrameGate(0.5, count=2), ksr.layers.LightGRU(arguments.units), keras.layers.Dense(10)]
    gated = keras.Sequential([keras.Input(x.shape[1:]), *layers])
    model = Model(ksr.convert(gated, x, target="litert", verify=False).data)
    frames = model.inputs[0].quantize(np.repeat(x[0, :2], 2, axis=0))  # each frame twice: nothing has moved
    print("| core | computed | skipped |\n|---|---:|---:|")
    for core in arguments.cores:
        cpu, portable = CORES[core]
        computed, skipped, *_ = qemu.measure(model, frames, cpu, portable=portable).instructions
        print(f"| {core} | {computed:,} | {skipped:,} |", flush=True)


if __name__ == "__main__":
    main()
