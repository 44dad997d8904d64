"""What a callback that keeps masks adds to a training step of Keras's own GRU.

    KERAS_BACKEND=jax python benchmarks/callback_overhead.py

Models that differ in their callback only are fitted in turn, a few steps at a time, in one process, so that other load
on the machine meets all of them; the table gives medians over all steps but the first of each fit. `keeping` are steps
on which masks are applied, `updating` those on which they are also computed anew, and `every 100` is what a step costs
on average if every hundredth is one of these, the default of the schedules.
"""

import argparse
import statistics
import time

import keras
import numpy as np

import keras_sparse_rnn as ksr

SIZES = {"S": (32, 100, 40, 128), "M": (64, 70, 256, 512)}  # batch, time, features, units


class StepTimes(keras.callbacks.Callback):
    """Seconds from one step to the next, all callbacks before this one included."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = None

    def on_train_batch_end(self, batch, logs=None):
        # A backend may hand out a step before it is done.
        np.asarray(keras.ops.convert_to_numpy(self.model.trainable_variables[0]))
        now = time.perf_counter()
        if self._began is not None:
            self.seconds.append(now - self._began)
        self._began = now


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="M")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="of each fit")
    arguments = parser.parse_args()
    contestants = {"plain fit": ((), StepTimes())}
    for label, callback in callbacks().items():
        contestants[label] = ((callback,), StepTimes())
    models = {label: compiled(SIZES[arguments.size]) for label in contestants}
    for round_ in range(arguments.rounds + 1):
        for label, (before, times) in contestants.items():
            fit(models[label], SIZES[arguments.size], arguments.steps, [*before, times])
            if round_ == 0:
                times.seconds.clear()
    medians = {label: statistics.median(times.seconds) for label, (_, times) in contestants.items()}
    plain = medians["plain fit"]
    print(f"{keras.backend.backend()}, batch, time, features, units = {SIZES[arguments.size]}")
    print(f"{'':40} {'ms':>8} {'ratio':>7}")
    for label, median in medians.items():
        print(f"{label:40} {1e3 * median:8.1f} {median / plain:7.3f}")
    for method in dict.fromkeys(label.rsplit(", ", 1)[0] for label in medians if label != "plain fit"):
        every = medians[f"{method}, keeping"] * 0.99 + medians[f"{method}, updating"] * 0.01
        print(f"{method + ', every 100':40} {1e3 * every:8.1f} {every / plain:7.3f}")


def callbacks():
    constant, ramp = ksr.schedules.ConstantSparsity, ksr.schedules.RampThreshold
    made = {}
    for label, frequency in (("keeping", 10**9), ("updating", 1)):
        for block in ((1, 1), (1, 4)):
            name = f"MagnitudePruning {block[0]}x{block[1]}, {label}"
            made[name] = ksr.callbacks.MagnitudePruning(constant(0.9, 0, frequency=frequency), block)
        thresholds = ramp(0, 1, 10**9, theta=1e-4, phi=0, frequency=frequency)
        made[f"ThresholdPruning, {label}"] = ksr.callbacks.ThresholdPruning(thresholds)
        for preset in (ksr.callbacks.SelfishRNN, ksr.callbacks.RigL):
            made[f"{preset.__name__}, {label}"] = preset(0.1, 0.3, frequency)
    return made


def compiled(size):
    _, length, features, units = size
    layers = [keras.Input((length, features)), keras.layers.GRU(units), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    return model


def fit(model, size, steps, callbacks):
    batch, length, features, _ = size
    x = np.random.default_rng(0).normal(size=(batch * steps, length, features)).astype("float32")
    model.fit(x, x[:, 0, :10], batch_size=batch, verbose=0, callbacks=callbacks)


if __name__ == "__main__":
    main()
