"""Converts a trained Keras GRU to a DeltaGRU, which computes only changes, and fine-tunes it.

    python examples/delta_gru.py [--data fsdd] [--quick]

The task is to recognise nine speakers by how they say two vowels (JapaneseVowels, from the wheel of aeon), or spoken
digits (fsdd; KSR_DATA names the folder with fsdd.npz). Each row shows the results of a net on the test set: accuracy,
negative log-likelihood (NLL), the shares of inputs and of units whose held value changes in a step, and
multiply-accumulates (MACs) per step. The nets of the first row and of the last two are trained for the same number of
epochs. The smaller GRU is the one that the DeltaGRU has to beat.
"""

import argparse

import keras

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.data import load

UNITS, SMALLER = 32, 16
# For inputs in their standard deviations, and for states in (-1, 1).
THRESHOLDS = {"input_threshold": 0.5, "hidden_threshold": 0.2}


def main(name, epochs, fine_tuning):
    data = load(name)
    print(f"{data.title}: {len(data.train)} sequences for training, {len(data.test)} for testing")
    print(f"{'':28}{'accuracy':>9} {'NLL':>6} {'inputs':>7} {'units':>6} {'MACs':>6}")

    smaller = net(keras.layers.GRU(SMALLER, return_sequences=True), data)
    train(smaller, data, epochs + fine_tuning, 0.01)
    report(f"GRU {SMALLER}", smaller, data)

    gru = net(keras.layers.GRU(UNITS, return_sequences=True), data)
    train(gru, data, epochs, 0.01)
    report(f"GRU {UNITS}", gru, data)

    delta = net(ksr.layers.DeltaGRU(UNITS, **THRESHOLDS, return_sequences=True), data)
    ksr.load_keras_weights(delta, gru)
    report(f"DeltaGRU {UNITS}, its weights", delta, data)
    train(delta, data, fine_tuning, 0.004)
    report(f"DeltaGRU {UNITS}, fine-tuned", delta, data)

    train(gru, data, fine_tuning, 0.004)
    report(f"GRU {UNITS}, trained on too", gru, data)


def net(recurrent, data):
    """Builds a classifier from the mean over time of a recurrent layer's states."""
    keras.utils.set_random_seed(0)
    pooling, head = keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(len(data.classes), activation="softmax")
    return keras.Sequential(
        [keras.Input(data.train.x.shape[1:]), keras.layers.GaussianNoise(0.3), recurrent, pooling, head]
    )


def train(model, data, epochs, learning_rate):
    batch = 32
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * -(-len(data.train) // batch))
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(data.train.x, data.train.y, batch_size=batch, epochs=epochs, verbose=0)


def report(title, model, data):
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    nll, accuracy = model.evaluate(data.test.x, data.test.y, verbose=0)
    [macs] = ksr.profiling.count_macs(model, data.test.x, data.test.valid)
    rates = f"{macs.input_rate:7.0%} {macs.activity:6.0%} {macs.effective:6.0f}"
    print(f"{title:28}{accuracy:9.1%} {nll:6.3f} {rates}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=["japanese-vowels", "fsdd"], default="japanese-vowels")
    parser.add_argument("--quick", action="store_true", help="train for a moment only")
    arguments = parser.parse_args()
    main(arguments.data, *((2, 1) if arguments.quick else (60, 30)))
