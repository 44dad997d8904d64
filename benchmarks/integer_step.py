"""CPU time of a training step in integers (`ksr.quantization.QuantizationAware`) beside one in floats.

    KERAS_BACKEND=jax python benchmarks/integer_step.py

For each kind of layer, 128 units on batches of 32 sequences of 50 steps of 40 features: milliseconds of CPU time per
step of `fit`, the median of the epochs after the third, when everything is compiled.
"""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_sparse_rnn as ksr

LAYERS = {
    "GRU": keras.layers.GRU,
    "LSTM": keras.layers.LSTM,
    "EventGRU": ksr.layers.EventGRU,
    "DeltaGRU": lambda units: ksr.layers.DeltaGRU(units, 0.2, 0.05),
    "LightGRU": ksr.layers.LightGRU,
}
UNITS, BATCH, STEPS, FEATURES, CLASSES = 128, 32, 50, 40, 10
BATCHES, EPOCHS, FIRST = 8, 7, 3


class _Clock(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        float(logs["loss"])  # JAX computes in the background
        self.seconds.append(time.process_time() - self._start)


def main():
    print("| layer | floats, ms | integers, ms | ratio |")
    print("|---|---|---|---|")
    for name, make in LAYERS.items():
        floats, integers = (
            _time_of_a_step(make, callbacks) for callbacks in ([], [ksr.quantization.QuantizationAware()])
        )
        print(f"| {name} | {floats:.1f} | {integers:.1f} | {integers / floats:.2f} |", flush=True)


def _time_of_a_step(make, callbacks):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH * BATCHES, STEPS, FEATURES)).astype("float32")
    y = generator.integers(0, CLASSES, len(x))
    output = keras.layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), make(UNITS), output])
    model.compile("adam", "sparse_categorical_crossentropy")
    clock = _Clock()
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[*callbacks, clock])
    return np.median(clock.seconds[FIRST:]) / BATCHES * 1000


if __name__ == "__main__":
    main()
