"""Instructions a time step on Cortex-M cores, over units x sparsity x activity, in QEMU.

    python benchmarks/kernel_mcu.py                         # EventGRU, 1x4 blocks: the table of docs/ and README
    python benchmarks/kernel_mcu.py --layer gru --units 128 --cpu cortex-m4

Random weights of exactly the given sparsity (0 % is stored dense), 40 inputs that are all active, int8. A step holds
everything from the input to the output; "stream" is one call a step, which reads the node and its states anew, "chunk"
a call for 40 steps. Executed instructions; beside them, of "stream", an estimate of cycles from the cores' documented
timings (`tflite/firmware/cycles.h`), where there are any.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import random_layers

from keras_sparse_rnn.firmware import qemu

CORES = {"M0+": ("cortex-m0plus", False), "M3": ("cortex-m3", False), "M4 in C": ("cortex-m4", True)}
CORES |= {"M4": ("cortex-m4", False), "M7": ("cortex-m7", False), "M55": ("cortex-m55", False)}
INPUTS = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", choices=["event_gru", "gru", "lstm"], default="event_gru")
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0, 0.8, 0.9, 0.95])
    parser.add_argument("--activity", type=float, nargs="+", default=[1, 0.3, 0.2, 0.1])
    parser.add_argument("--block", type=int, default=4)
    parser.add_argument("--cores", nargs="+", choices=list(CORES), default=list(CORES))
    arguments = parser.parse_args()
    activities = arguments.activity if arguments.layer == "event_gru" else [1]
    cores = " | ".join(f"{core} stream, chunk (cycles, estimate)" for core in arguments.cores)
    print(f"| units | zeros | activity | MAC | {cores} | flash | RAM |")
    print(f"|---|---|---|---|{'---|' * len(arguments.cores)}---|---|")
    for units in arguments.units:
        for sparsity in arguments.sparsity:
            for activity in activities:
                _print_row(arguments, units, sparsity, activity)


def _print_row(arguments, units, sparsity, activity):
    make = getattr(random_layers, arguments.layer)
    options = {"activity": activity} if arguments.layer == "event_gru" else {}
    op, x = make(units, INPUTS, arguments.block, sparsity, **options)
    seen = random_layers.rate(op, x) if options else 1.0
    macs = ((op.kernel != 0).sum() + seen * (op.recurrent_kernel != 0).sum()).item()
    cells, size = [], None
    for core in arguments.cores:
        cpu, portable = CORES[core]
        model = random_layers.to_model(op, x)
        streamed = qemu.measure(model, x, cpu, portable=portable)
        chunked = qemu.measure(model, x.reshape(1, -1), cpu, portable=portable, whole_sequences=True)
        cycles = "" if streamed.cycles_estimate is None else f" ({streamed.cycles_estimate:,.0f})"
        cells.append(f"{streamed.mean_instructions:,.0f}, {chunked.mean_instructions / len(x):,.0f}{cycles}")
        size = streamed
    columns = [units, f"{sparsity:.0%}", f"{seen:.0%}", f"{macs:,.0f}", *cells]
    print(f"| {' | '.join(map(str, columns))} | {size.code_bytes:,} | {size.data_bytes:,} |", flush=True)


if __name__ == "__main__":
    main()
