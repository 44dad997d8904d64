"""Measures words per second of training a language model: EventGRU, and keras.layers.GRU and LSTM of the same sizes.

    python benchmarks/lm_throughput.py --preset egru-1350 --backend jax

The nets are trained in turn on the same windows of a synthetic text, each window with a whole train step of
examples/penn_treebank.py: forward, backward, clipping, optimizer. The table shows medians over the rounds. The share of
the device's matmul rate compares the products of a step, 6 floating-point operations per weight of the recurrent layers
and per weight that the decoder uses, with the best of ten square products of `--matmul` rows.
"""

import argparse
import dataclasses
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
WORDS = 10_000
FREQUENCIES = 1 / np.arange(1, WORDS + 1) / np.sum(1 / np.arange(1, WORDS + 1))  # Zipf's law


def main():
    arguments = parse()
    os.environ["KERAS_BACKEND"] = arguments.backend
    from language_model.presets import PRESETS

    if arguments.bfloat16:
        import jax

        jax.config.update("jax_default_matmul_precision", "BF16_BF16_F32")
    preset = PRESETS[arguments.preset]
    if arguments.units:
        preset = dataclasses.replace(preset, units=tuple(arguments.units), embedding=arguments.units[-1])
    presets = {"EventGRU": dataclasses.replace(preset, cell="event_gru")}
    if preset.cell != "event_gru":
        presets["EventGRU"] = dataclasses.replace(preset, cell="event_gru", cell_options={}, last_cell_options={})
    for name in ("GRU", "LSTM"):
        presets[name] = dataclasses.replace(preset, cell=name.lower(), cell_options={}, last_cell_options={})
    runs = {name: training_run(preset, arguments.windows) for name, preset in presets.items()}
    rates = {name: [] for name in runs}
    for run in runs.values():
        run()  # compiles
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            words = run()
            rates[name].append(words / (time.perf_counter() - began))
    matmul = matmul_rate(arguments.matmul)
    sizes = " + ".join(map(str, preset.units))
    print(f"{arguments.backend}, {device()}; {sizes} units, batch {preset.batch}, windows of {preset.window} words")
    print(f"matmul rate of {arguments.matmul} x {arguments.matmul}: {matmul / 1e9:,.0f} GFLOP/s")
    print(f"{'':10} {'words/s':>10} {'to EventGRU':>12} {'of matmul rate':>15}")
    reference = statistics.median(rates["EventGRU"])
    for name, preset in presets.items():
        median = statistics.median(rates[name])
        print(f"{name:10} {median:10,.0f} {median / reference:12.2f} {median * flops(preset) / matmul:15.1%}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="egru-1350")
    parser.add_argument("--backend", choices=["jax", "tensorflow", "torch"], default="jax")
    parser.add_argument("--bfloat16", action="store_true", help="matrix products in bfloat16 (JAX)")
    parser.add_argument("--units", type=int, nargs="+", help="instead of the preset's; the last is the embedding's too")
    parser.add_argument("--windows", type=int, default=20, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--matmul", type=int, default=2048, help="rows of the square product")
    return parser.parse_args()


def training_run(preset, count):
    """Returns a function that trains a net of the preset on `count` windows, waits, and returns the number of words."""
    import keras
    from language_model.network import build
    from language_model.steps import STEPS
    from language_model.training import optimizer

    rng = np.random.default_rng(0)
    model = build(preset, WORDS, preset.batch)
    model.compile(optimizer(preset, model))
    model.optimizer.build(model.trainable_variables)
    text = rng.choice(WORDS, (preset.batch, count * preset.window + 1), p=FREQUENCIES).astype("int32")
    training = STEPS[keras.backend.backend()](model, text, model.optimizer)
    starts, lengths = np.arange(count, dtype="int32") * preset.window, np.full(count, preset.window, "int32")
    rates = np.full(count, 1e-4, "float32")

    def run():
        training.reset()
        losses = [training.train(starts[part], lengths[part], rates[part]) for part in training.runs(lengths)]
        keras.ops.convert_to_numpy(sum(losses))
        return text.size - preset.batch

    return run


def flops(preset):
    """Returns the floating-point operations per word of the products of a train step."""
    gates = {"event_gru": 3, "gru": 3, "lstm": 4}[preset.cell]
    inputs = (preset.embedding, *preset.units[:-1])
    recurrent = sum(gates * units * (entering + units) for units, entering in zip(preset.units, inputs, strict=True))
    decoded = WORDS
    if preset.frequent:
        decoded = preset.frequent + 1 + FREQUENCIES[preset.frequent :].sum() * (WORDS - preset.frequent)
    return 6 * (recurrent + decoded * preset.embedding)


def matmul_rate(n):
    """Returns the floating-point operations per second of a product of two square matrices, the best of ten."""
    import keras

    a = keras.ops.ones((n, n), "float32")
    times = []
    for _ in range(11):
        began = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(a, a)[0, 0])
        times.append(time.perf_counter() - began)
    return 2 * n**3 / min(times[1:])


def device():
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    if keras.backend.backend() == "torch":
        return keras.ops.ones(1).device
    return keras.ops.ones(1).device.rpartition(":")[0].rpartition(":")[2]


if __name__ == "__main__":
    main()
