"""`keras-sparse-rnn bench`: the cost of a step of a `.tflite` model. Its Python counterpart is
`firmware.bench.bench`."""

import dataclasses
import json

from keras_sparse_rnn.verbs import add_verb
from keras_sparse_rnn.verbs.files import load_arrays, load_tflite

# The keys of `firmware.bench.CPUS`.
CPUS = ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"]
CPUS += ["rv32imc", "esp32-c3", "esp32-c6"]
CPUS += ["m0plus", "m3", "m4", "m7", "m33", "m55", "m0", "cortex-m0", "m0+", "host"]


def add(verbs):
    parser = add_verb(
        verbs,
        "bench",
        _run,
        help="count a model's instructions on a Cortex-M or RISC-V, or time it on this computer",
        description="Runs the model in plain C on an emulated board and compares every op with the NumPy engine. For "
        "-O2 and -Os it prints the executed instructions of a time step, in total and by op, an estimate of the cycles "
        "from the core's documented timings, the instructions of init, flash, RAM and stack. With --cpu host it times "
        "LiteRT with this package's ops on this computer, and each of these ops.",
        examples=["keras-sparse-rnn bench model.tflite --cpu m4 --inputs recorded.npy"],
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file; a .keras file is converted first")
    parser.add_argument(
        "--cpu",
        choices=CPUS,
        default="cortex-m4",
        metavar="CPU",
        help="cortex-m0, -m3, -m4, -m7, -m33, -m55 (or m0, m4, ...), rv32imc (or esp32-c3, esp32-c6) or host; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--inputs",
        metavar="FILE",
        help=".npy with real inputs (samples, steps, features), each sample from a clear state; else noise",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def _run(arguments):
    from keras_sparse_rnn.firmware.bench import bench
    from keras_sparse_rnn.progress import Progress

    x = arguments.inputs and load_arrays(arguments.inputs)
    with Progress("bench") as progress:
        progress.show(f"reading {arguments.model}")
        model = load_tflite(arguments.model, x)
        progress.show(f"building and running the model on {arguments.cpu}")
        seen = bench(model, x, arguments.cpu)
    print(json.dumps(dataclasses.asdict(seen), indent=2) if arguments.json else seen)
