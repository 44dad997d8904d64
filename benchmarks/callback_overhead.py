"""What MagnitudePruning adds to a training step, in ms: the best of five epochs, for the backend in KERAS_BACKEND.

    KERAS_BACKEND=jax python benchmarks/callback_overhead.py --units 256

`keeping` is a step on which masks are only applied, `updating` one on which they are computed anew.
"""

import argparse
import time

import keras
import numpy as np

import keras_sparse_rnn as ksr


class EpochTimes(keras.callbacks.Callback):
    """Whole epochs, because JAX hands out steps before they are done; the first one compiles."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


class Idle(keras.callbacks.Callback):
    """Reads the model's state each batch, as checkpoints do: on JAX that by itself costs time."""

    def on_train_batch_end(self, batch, logs=None):
        _ = self.model


def step_time(args, callback):
    model = keras.Sequential([keras.Input((args.steps, 32)), keras.layers.GRU(args.units), keras.layers.Dense(10)])
    model.compile("adam", "mse")
    x = np.zeros((args.batch * args.batches, args.steps, 32), "float32")
    times = EpochTimes()
    model.fit(x, x[:, 0, :10], batch_size=args.batch, epochs=6, verbose=0, callbacks=[times, callback])
    return 1e3 * min(times.seconds[1:]) / args.batches


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("units", 256), ("steps", 40), ("batch", 32), ("batches", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    constant = ksr.schedules.ConstantSparsity
    pruning = ksr.callbacks.MagnitudePruning
    rows = {
        "no callback": keras.callbacks.Callback(),
        "callback that reads the model": Idle(),
        "keeping (1, 1)": pruning(constant(0.9, 0, frequency=10**9)),
        "keeping (1, 4)": pruning(constant(0.9, 0, frequency=10**9), (1, 4)),
        "updating (1, 1)": pruning(constant(0.9, 0, frequency=1)),
        "updating (1, 4)": pruning(constant(0.9, 0, frequency=1), (1, 4)),
    }
    print(f"backend {keras.backend.backend()}, GRU({args.units}), batch {args.batch}, {args.steps} steps of 32 inputs")
    for name, callback in rows.items():
        print(f"{name:30} {step_time(args, callback):8.1f} ms a step")


if __name__ == "__main__":
    main()
