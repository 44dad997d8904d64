"""Measures what a mask callback adds to a training step of Keras's own GRU.

    KERAS_BACKEND=jax python benchmarks/callback_overhead.py

A model without and one with the callback are fitted in turn, a few steps at a time, in one process. Times are CPU
seconds of the process, so that other load on the machine does not count; with `--clock wall`, as an accelerator
requires, they are wall-clock seconds. The result is the median over all steps of a fit except the first, and the median
ratio over the rounds. `own` is the time that the callback itself takes at the end of each step, as a share of the plain
step. It is more exact if fits differ by more than a callback costs, but does not include what a method does inside the
step (RigL records gradients there). The row `none`, a callback that does nothing, shows how exact a ratio is. `keeping`
are steps at which masks are applied, `updating` steps at which they are also recomputed. `every 10` and `every 100` are
the mean costs of a step if every tenth or every hundredth step updates the masks; 100 is the default of the schedules.
"""

import argparse
import itertools
import re
import statistics
import time
import warnings

import keras
import numpy as np

import keras_sparse_rnn as ksr

SIZES = {"S": (32, 100, 40, 128), "M": (64, 70, 256, 512)}  # batch, time, features, units


CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}
clock = CLOCKS["cpu"]


class StepTimes(keras.callbacks.Callback):
    """Seconds from one step to the next, all callbacks before this one included."""

    def on_train_begin(self, logs=None):
        self.seconds, self._began = [], None

    def on_train_batch_end(self, batch, logs=None):
        wait(self.model)
        now = clock()
        if self._began is not None:
            self.seconds.append(now - self._began)
        self._began = now


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="M")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="of each fit")
    parser.add_argument("--only", default="", metavar="REGEX", help="which callbacks, by the names in the table")
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    arguments = parser.parse_args()
    global clock
    clock = CLOCKS[arguments.clock]
    size = SIZES[arguments.size]
    plain = compiled(size)
    print(f"{keras.backend.backend()}, batch, time, features, units = {size}")
    print(f"{'':36} {'plain ms':>9} {'ratio':>7} {'own':>7}")
    warnings.filterwarnings("ignore", "This fit goes to|.* was to bring")
    ratios, own = {}, {}
    for label, callback in callbacks().items():
        if not re.search(arguments.only, label):
            continue
        model, rounds, taken = compiled(size), [], time_batch_ends(callback)
        for _ in range(arguments.rounds + 1):
            rounds.append([step_time(plain, size, arguments.steps), step_time(model, size, arguments.steps, callback)])
        plain_times, times = np.transpose(rounds[1:])  # the first round compiles
        ratios[label] = statistics.median(times / plain_times)
        plain_time = statistics.median(plain_times)
        own[label] = statistics.median(taken[arguments.steps :]) / plain_time
        print(f"{label:36} {1e3 * plain_time:9.1f} {ratios[label]:7.3f} {own[label]:7.2%}", flush=True)
    methods = [label.removesuffix(", updating") for label in ratios if label.endswith(", updating")]
    for method, every in itertools.product([m for m in methods if f"{m}, keeping" in ratios], (10, 100)):
        mean, its_own = (
            by[f"{method}, keeping"] + (by[f"{method}, updating"] - by[f"{method}, keeping"]) / every
            for by in (ratios, own)
        )
        print(f"{f'{method}, every {every}':36} {'':9} {mean:7.3f} {its_own:7.2%}")


def callbacks():
    constant, ramp = ksr.schedules.ConstantSparsity, ksr.schedules.RampThreshold
    made = {"none": keras.callbacks.Callback()}
    for label, frequency in (("keeping", 10**9), ("updating", 1)):
        for block in ((1, 1), (1, 4)):
            name = f"MagnitudePruning {block[0]}x{block[1]}, {label}"
            made[name] = ksr.callbacks.MagnitudePruning(constant(0.9, 0, frequency=frequency), block)
        thresholds = ramp(0, 1, 10**9, theta=1e-4, phi=0, frequency=frequency)
        made[f"ThresholdPruning, {label}"] = ksr.callbacks.ThresholdPruning(thresholds)
        for preset in (ksr.callbacks.SelfishRNN, ksr.callbacks.RigL):
            made[f"{preset.__name__}, {label}"] = preset(0.1, 0.3, frequency)
    made["QuantizationAware"] = ksr.quantization.QuantizationAware()
    return made


def compiled(size):
    _, length, features, units = size
    layers = [keras.Input((length, features)), keras.layers.GRU(units), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    return model


def time_batch_ends(callback):
    """Returns the list to which the callback's seconds at the end of each step are appended."""
    seconds, on_train_batch_end = [], callback.on_train_batch_end

    def timed(*arguments, **options):
        wait(callback.model)
        began = clock()
        on_train_batch_end(*arguments, **options)
        wait(callback.model)
        seconds.append(clock() - began)

    callback.on_train_batch_end = timed
    return seconds


def wait(model):
    """Waits for the end of a step. No kernel is read, as a copy takes longer than a callback."""
    values = [kernel.value for kernel in model.trainable_variables[:2]]
    if keras.backend.backend() == "jax":
        import jax

        jax.block_until_ready(values)
    else:
        np.asarray(keras.ops.convert_to_numpy(values[0][:1, :1]))


def step_time(model, size, steps, *callbacks):
    """Returns the median seconds of a step of a fit."""
    batch, length, features, _ = size
    x = np.random.default_rng(0).normal(size=(batch * steps, length, features)).astype("float32")
    times = StepTimes()
    model.fit(x, x[:, 0, :10], batch_size=batch, verbose=0, callbacks=[*callbacks, times])
    return statistics.median(times.seconds)


if __name__ == "__main__":
    main()
