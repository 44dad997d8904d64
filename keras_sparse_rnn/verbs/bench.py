"""`keras-sparse-rnn bench`: what a step of a `.tflite` model costs."""

import argparse
import time

# Short names of what `firmware.qemu.BOARDS` has.
CORES = {"m0plus": "cortex-m0plus", "m3": "cortex-m3", "m4": "cortex-m4", "m7": "cortex-m7", "m55": "cortex-m55"}


def add(verbs):
    parser = verbs.add_parser(
        "bench",
        help="instructions of a .tflite model on a Cortex-M, or its time on this computer",
        description="Runs the model in plain C on an emulated Cortex-M, checks every bit of its outputs against the "
        "same C on this computer, and prints the executed instructions (not cycles) of each call: a time step where "
        "the model can take one, else a whole sequence. Or times LiteRT on this computer.",
        epilog="example:\n  python -m keras_sparse_rnn bench model.tflite --cpu m4 --inputs recorded.npy",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file")
    parser.add_argument("--cpu", choices=[*CORES, "host"], default="m4", help="default: %(default)s")
    parser.add_argument(
        "--inputs", metavar="FILE", help=".npy with real inputs (samples, ...) or (samples, steps, ...); else noise"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_run)


def _run(arguments):
    import numpy as np

    from keras_sparse_rnn.runtime.model import Model

    with open(arguments.model, "rb") as file:
        model = Model(file.read())
    x = model.inputs[0]
    noise = np.random.default_rng(0).normal(size=(4, *x.shape[1:]))
    real = np.load(arguments.inputs) if arguments.inputs else noise
    if real.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"inputs must have the shape (samples, {', '.join(map(str, x.shape[1:]))}); given: {real.shape}."
        )
    stored = x.quantize(real.astype(np.float32))
    print(_host(model, stored) if arguments.cpu == "host" else _board(model, stored, CORES[arguments.cpu]))


def _board(model, stored, cpu):
    from keras_sparse_rnn.firmware import qemu
    from keras_sparse_rnn.firmware.plain_c import PlainC

    size = PlainC(model).input_size
    seen = qemu.measure(model, stored.reshape(-1, size), cpu)
    unit = "step" if size < stored[0].size or model.inputs[0].shape[1:2] == (1,) else "inference"
    return (
        f"{cpu}: {seen.mean_instructions:,.0f} instructions a {unit} in the mean of {len(seen.instructions)}, "
        f"{min(seen.instructions):,} to {max(seen.instructions):,}; {seen.code_bytes:,} bytes of flash with the "
        f"recorded inputs and the C library, {seen.data_bytes:,} of RAM"
    )


def _host(model, stored, rounds=50):
    import numpy as np

    from keras_sparse_rnn import runtime

    engine, times = runtime.load(model, "litert"), []
    for i in range(rounds):
        start = time.perf_counter()
        engine.invoke([np.repeat(stored[i % len(stored)][None], engine.batch_size, axis=0)])
        times.append(time.perf_counter() - start)
    return f"LiteRT on this computer, one thread: {np.median(times) * 1e6:,.1f} us an inference (median of {rounds})"
