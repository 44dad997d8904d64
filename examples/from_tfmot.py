"""Imports a GRU that tensorflow-model-optimization has pruned in tf_keras into Keras 3, and converts it.

    python examples/from_tfmot.py [--quick] [--out model.tflite] [--picture from_tfmot.png]

The task is to recognise nine speakers by how they say two vowels (JapaneseVowels, from the wheel of aeon). Prints the
accuracy, the share of zeros among the weights and the bytes for each stage. The picture shows the remaining weights.
"""

import argparse

import keras
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.data import japanese_vowels


def pruned_by_tfmot(train, classes, epochs):
    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [layers.Input(train.x.shape[1:]), layers.GRU(64), layers.Dense(classes, activation="softmax")]
    )
    steps = epochs * -(-len(train) // 16)
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, steps // 5, 3 * steps // 5, frequency=max(1, steps // 50))
    # tfmot tiles blocks over all gates, ksr within each gate. With 64 units the blocks are the same.
    model = tfmot.sparsity.keras.prune_low_magnitude(model, schedule, block_size=(1, 4), block_pooling_type="AVG")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    pruning = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(train.x, train.y, batch_size=16, epochs=epochs, callbacks=[pruning], verbose=0)
    return tfmot.sparsity.keras.strip_pruning(model)


def main(epochs, out, picture):
    data = japanese_vowels()
    test = data.test
    theirs = pruned_by_tfmot(data.train, len(data.classes), epochs)
    ours = ksr.from_tfmot(theirs)
    converted = ksr.convert(ours, representative_data=data.train.x[:100])

    probabilities = theirs.predict(test.x, verbose=0)
    kernels = [w for w in theirs.get_weights() if w.ndim == 2 and len(w) > 2]  # all but the biases
    zeros = sum(np.sum(w == 0) for w in kernels) / sum(w.size for w in kernels)
    rows = [
        ("tf_keras, pruned by tfmot", probabilities, zeros, 4 * theirs.count_params()),
        (
            "Keras 3",
            ours.predict(test.x, verbose=0),
            ksr.sparsity.measure(ours, lambda layer: True),
            4 * ours.count_params(),
        ),
        ("TFLM, int8", converted.predict(test.x, engine="tflm"), None, len(converted.data)),
    ]
    print(f"{'':26} {'accuracy':>9} {'zeros':>7} {'bytes':>8}")
    for name, outputs, share, size in rows:
        accuracy = np.mean(outputs.argmax(axis=1) == test.y)
        print(f"{name:26} {accuracy:9.1%} {'' if share is None else f'{share:.1%}':>7} {size:8,}")
    print(f"largest difference between tf_keras and Keras 3: {np.abs(rows[1][1] - rows[0][1]).max():.1e}")
    if out:
        converted.save(out)
    [gru] = [layer for layer in ours.layers if isinstance(layer, keras.layers.GRU)]
    ksr.plot.weights(gru).figure.savefig(picture, dpi=150)
    print(f"The recurrent kernel: {picture}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="train for a moment only")
    parser.add_argument("--out", help="where to write the .tflite file")
    parser.add_argument("--picture", default="from_tfmot.png", help="where to draw the weights; default: %(default)s")
    arguments = parser.parse_args()
    main(epochs=2 if arguments.quick else 60, out=arguments.out, picture=arguments.picture)
