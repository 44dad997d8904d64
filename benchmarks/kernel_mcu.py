"""Counts instructions per time step on Cortex-M and RISC-V cores in QEMU, over units x sparsity x activity.

    python benchmarks/kernel_mcu.py                         # EventGRU, 1x4 blocks: the table of docs/ and README
    python benchmarks/kernel_mcu.py --layer delta_gru --units 32 --inputs 32 --sparsity 0.7 --activity 0.22
    python benchmarks/kernel_mcu.py --parts --units 128 --sparsity 0.9 --activity 0.2
    python benchmarks/kernel_mcu.py --sizes
    python benchmarks/kernel_mcu.py --table --record        # what a change costs: results/kernel_mcu.json

The weights are random int8 weights with exactly the given sparsity (0 % is stored dense). All inputs are active or, for
a DeltaGRU, change at the given rate; activity is the share of units that fire, or whose held state changes. A step
includes everything from the input to the output; "stream" is one call per step, "chunk" a call for 40 steps. Every bit
of the outputs is compared with the op's definition in NumPy. The counts are executed instructions, not cycles; brackets
contain an estimate of the cycles of "stream" from documented timings (tflite/firmware/cycles.h).

With --parts, shows for 1x4, 1x8 and 1x16 blocks where the instructions of "stream" go: adding rows of weights, per MAC;
the work for each unit (gates, events, held states, outputs), per unit; setting up the accumulators from biases and kept
sums; held inputs; and the rest, the call.

With --sizes, shows flash, RAM and stack of the layer in plain C for a Cortex-M4 at -Os, without the C library, and the
instructions of its init and of a step.

With --table, shows a few layers of each kind at -O2 with one call per step, and the counts recorded in
results/kernel_mcu.json in brackets; --record writes this file. tests/firmware/test_kernel_costs.py compares with the
recorded counts.
"""

import argparse
import json
import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import random_layers

from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.formats import INT4

CORES = {"M0+": ("cortex-m0plus", False), "M3": ("cortex-m3", False), "M4 in C": ("cortex-m4", True)}
CORES |= {
    "M4": ("cortex-m4", False),
    "M7": ("cortex-m7", False),
    "M55": ("cortex-m55", False),
    "RV32": ("rv32imc", False),
}
# Layers, and which of their rates can be set.
RATES = {
    "event_gru": ["activity"],
    "delta_gru": ["input_rate", "activity"],
    "light_delta_gru": ["input_rate", "activity"],
}
RATES |= {"gru": [], "light_gru": [], "hard_light_gru": [], "fast_grnn": [], "lstm": [], "sparse_dense": []}
# What C functions serve, by their names; the first that fits.
PARTS = {
    "accumulate": r"(ksr_)?(matrix_)?add_",
    "held inputs": r"(ksr_)?hold_inputs",
    "biases": r"ksr_recurrent_start",
    "units": r"units_|light_units|ksr_(light_gru|fast_grnn|gru)_units|(ksr_)?(events|hold_states|write)|send$|"
    r"read_eights|ksr_fill|ksr_(event_gru|gru|lstm)_run|ksr_sparse_dense|run_i8|__aeabi_lmul",
    "call": "",
}
# Layers of the table: kind, units, inputs, sparsity, and rates and number format.
TABLE = {
    "GRU dense 128/40": ("gru", 128, 40, 0, {}),
    "GRU dense 24/12": ("gru", 24, 12, 0, {}),
    "LightGRU dense 128/40": ("light_gru", 128, 40, 0, {}),
    "LightGRU dense 24/12": ("light_gru", 24, 12, 0, {}),
    "LightGRU dense 24/12, hard gates": ("hard_light_gru", 24, 12, 0, {}),
    "FastGRNN dense 128/40": ("fast_grnn", 128, 40, 0, {}),
    "FastGRNN dense 24/12": ("fast_grnn", 24, 12, 0, {}),
    "LSTM dense 128/40": ("lstm", 128, 40, 0, {}),
    "LSTM dense 24/12": ("lstm", 24, 12, 0, {}),
    "GRU 90 % 128/40": ("gru", 128, 40, 0.9, {}),
    "GRU 90 % in 4x1 128/40": ("gru", 128, 40, 0.9, {"pruned": (4, 1)}),
    "GRU 90 % in 16x1 128/40": ("gru", 128, 40, 0.9, {"pruned": (16, 1)}),
    "LSTM 90 % in 16x1 128/40": ("lstm", 128, 40, 0.9, {"pruned": (16, 1)}),
    "EventGRU 90 % x 20 % 128/40": ("event_gru", 128, 40, 0.9, {"activity": 0.2}),
    "EventGRU 90 % x 20 % 128/40, inputs in 16x1": (
        *("event_gru", 128, 40, 0.9),
        {"activity": 0.2, "pruned_inputs": (16, 1)},
    ),
    "DeltaGRU 70 % 32/32, 24 % and 22 % change": ("delta_gru", 32, 32, 0.7, {"input_rate": 0.24, "activity": 0.22}),
    "DeltaGRU without a reset gate, likewise": ("light_delta_gru", 32, 32, 0.7, {"input_rate": 0.24, "activity": 0.22}),
    "GRU dense 128/40, 4 bits": ("gru", 128, 40, 0, {"number_format": INT4}),
    "GRU 90 % 128/40, 4 bits": ("gru", 128, 40, 0.9, {"number_format": INT4}),
    "EventGRU 90 % x 20 % 128/40, 4 bits": ("event_gru", 128, 40, 0.9, {"activity": 0.2, "number_format": INT4}),
    "EventGRU dense x 20 % 128/40": ("event_gru", 128, 40, 0, {"activity": 0.2}),
    "EventGRU dense x 20 % 128/40, 4 bits": ("event_gru", 128, 40, 0, {"activity": 0.2, "number_format": INT4}),
    "Dense 128 x 64": ("sparse_dense", 64, 128, 0, {}),
}
TABLE_CORES = ("M0+", "M3", "M4", "M55", "RV32")
RECORD = Path(__file__).parent / "results" / "kernel_mcu.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", choices=list(RATES), default="event_gru")
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--inputs", type=int, default=40)
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0, 0.8, 0.9, 0.95])
    parser.add_argument("--activity", type=float, nargs="+", default=[1, 0.3, 0.2, 0.1])
    parser.add_argument("--input-rate", type=float, default=0.25)
    parser.add_argument("--block", type=int, default=4)
    parser.add_argument("--cores", nargs="+", choices=list(CORES), default=list(CORES))
    parser.add_argument("--parts", action="store_true", help="where the instructions go")
    parser.add_argument("--sizes", action="store_true", help="flash, RAM, stack and init")
    parser.add_argument("--small", action="store_true", help="not with --table: kernels that take less flash")
    parser.add_argument("--table", action="store_true", help="a few layers of each kind, beside what is recorded")
    parser.add_argument("--record", action="store_true", help="with --table: keep it")
    arguments = parser.parse_args()
    if arguments.table:
        print_recorded_layers([core for core in TABLE_CORES if core in arguments.cores], arguments.record)
        return
    bench = Bench(arguments)
    print_it = bench.print_sizes if arguments.sizes else bench.print_parts if arguments.parts else bench.print_table
    print_it()


def print_recorded_layers(cores, keeps):
    """Prints the table of `TABLE`, and with `keeps` writes it to `RECORD`."""
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    print(f"| instructions per step | {' | '.join(f'{core} (recorded)' for core in cores)} |")
    print(f"|---|{'---:|' * len(cores)}", flush=True)
    for name in TABLE:
        before = recorded.get(name, {})
        seen = {core: round(measure(name, core).mean_instructions) for core in cores}
        cells = [f"{seen[core]:,} ({before[core]:,})" if core in before else f"{seen[core]:,}" for core in cores]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        recorded[name] = before | seen
    if keeps:
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps({name: recorded[name] for name in TABLE}, indent=2) + "\n")


def measure(name, core, **options):
    """Runs a layer of `TABLE` in `qemu.measure` with these options."""
    layer, units, inputs, sparsity, rates = TABLE[name]
    op, x = getattr(random_layers, layer)(units, inputs, 4, sparsity, **rates)
    cpu, portable = CORES[core]
    model = random_layers.to_model(op, x)
    return qemu.measure(model, x, cpu, portable=portable, expected=random_layers.outputs(op, x), **options)


class Bench:
    """A table of one layer."""

    def __init__(self, arguments):
        self._arguments = arguments

    def print_table(self):
        cores = self._arguments.cores
        names = " | ".join(f"{core} stream, chunk (cycles, estimate)" for core in cores)
        print(f"| units | zeros | input rate | activity | MAC | {names} |")
        print(f"|{'---|' * (len(cores) + 5)}", flush=True)
        for case in self._cases():
            op, x, label, macs = self._layer(*case, self._arguments.block)
            cells = []
            for core in cores:
                streamed = self._measure(op, x, core)
                cycles = "" if streamed.cycles_estimate is None else f" ({streamed.cycles_estimate:,.0f})"
                chunk = self._measure(op, x, core, whole_sequences=True).mean_instructions / len(x)
                cells.append(f"{streamed.mean_instructions:,.0f}, {chunk:,.0f}{cycles}")
            print(f"| {' | '.join(map(str, [*label, f'{macs:,.0f}', *cells]))} |", flush=True)

    def print_parts(self):
        print("| units | zeros | input rate | activity | block | core | accumulate, each MAC | each unit | "
              "biases | held inputs | call | all |")  # fmt: skip
        print(f"|{'---|' * 12}", flush=True)
        for case in self._cases():
            for block in (4, 8, 16):
                op, x, label, macs = self._layer(*case, block)
                for core in self._arguments.cores:
                    functions = self._measure(op, x, core, by_function=True).functions
                    parts = dict.fromkeys(PARTS, 0.0)
                    for name, count in functions.items():
                        parts[next(part for part, names in PARTS.items() if re.match(names, name))] += count
                    row = [*label, f"1x{block}", core, f"{parts['accumulate'] / macs:.2f}"]
                    row += [f"{parts['units'] / case[0]:.1f}"]
                    row += [f"{parts[part]:.0f}" for part in ("biases", "held inputs", "call")]
                    print(f"| {' | '.join(map(str, row))} | {sum(functions.values()):,.0f} |", flush=True)

    def print_sizes(self):
        print("| units | zeros | flash | of which the model | RAM | stack | init | step |")
        print(f"|{'---|' * 8}", flush=True)
        for units in self._arguments.units:
            for sparsity in self._arguments.sparsity:
                op, x, label, _ = self._layer(units, sparsity, self._arguments.activity[0], self._arguments.block)
                constants = PlainC(random_layers.to_model(op, x)).constant_bytes
                seen = self._measure(op, x, "M4", optimization="-Os")
                sizes = (seen.flash_bytes, constants, seen.ram_bytes, seen.stack_bytes, seen.init_instructions)
                sizes += (round(seen.mean_instructions),)
                print(f"| {units} | {label[1]} | {' | '.join(f'{size:,}' for size in sizes)} |", flush=True)

    def _cases(self):
        activities = self._arguments.activity if "activity" in RATES[self._arguments.layer] else [None]
        for units in self._arguments.units:
            for sparsity in self._arguments.sparsity:
                for activity in activities:
                    yield units, sparsity, activity

    def _layer(self, units, sparsity, activity, block):
        """Returns the op, its input, the columns that describe them, and the MACs of a step."""
        arguments, layer = self._arguments, self._arguments.layer
        wanted = {"activity": activity, "input_rate": arguments.input_rate}
        rates = {name: wanted[name] for name in RATES[layer]}
        op, x = getattr(random_layers, layer)(units, arguments.inputs, block, sparsity, **rates)
        seen = random_layers.rates(op, x)
        weights = [int((kernel != 0).sum()) for kernel in op.kernels]
        macs = sum(n * rate for n, rate in zip(weights, seen, strict=True))
        shares = [f"{rate:.0%}" for rate in (*seen, 1.0)[:2]]
        return op, x, (units, f"{sparsity:.0%}", *shares), macs

    def _measure(self, op, x, core, **options):
        cpu, portable = CORES[core]
        y = random_layers.outputs(op, x)
        if options.get("whole_sequences"):
            x, y = x.reshape(1, -1), y.reshape(1, -1)
        model = random_layers.to_model(op, x.reshape(-1, self._arguments.inputs))
        return qemu.measure(model, x, cpu, portable=portable, expected=y, small=self._arguments.small, **options)


if __name__ == "__main__":
    main()
