"""Prunes an ordinary Keras GRU with one callback, and runs it as int8 in TensorFlow Lite Micro's interpreter.

    python examples/sparse_gru.py [--quick] [--out model.tflite]

The task is to recognise nine speakers by how they say two vowels (JapaneseVowels, from the wheel of aeon). Prints the
accuracy of the Keras model and of the int8 model, and the contents of the file.
"""

import argparse

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.experiments.data import japanese_vowels


def main(epochs, out):
    data = japanese_vowels()  # 12 cepstra per step, padded with zeros in front
    train, test = data.train, data.test
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(train.x.shape[1:]),
            keras.layers.GRU(64),
            keras.layers.Dense(len(data.classes), activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    steps = epochs * -(-len(train) // 16)
    schedule = ksr.schedules.PolynomialDecay(0.0, 0.8, steps // 5, 3 * steps // 5, frequency=max(1, steps // 50))
    pruning = ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4))
    model.fit(train.x, train.y, batch_size=16, epochs=epochs, callbacks=[pruning], verbose=2)

    converted = ksr.convert(model, representative_data=train.x[:100])
    print(converted.report)
    in_keras, in_tflm = model.predict(test.x, verbose=0), converted.predict(test.x, engine="tflm")
    for name, probabilities in (("Keras, float32", in_keras), ("TFLM, int8", in_tflm)):
        print(f"accuracy in {name}: {np.mean(probabilities.argmax(axis=1) == test.y):.1%}")
    if out:
        converted.save(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="train for a moment only")
    parser.add_argument("--out", help="where to write the .tflite file")
    arguments = parser.parse_args()
    main(epochs=2 if arguments.quick else 60, out=arguments.out)
