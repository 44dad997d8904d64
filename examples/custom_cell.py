"""A custom recurrent cell, pruned by the callback that also prunes Keras's cells.

    python examples/custom_cell.py [--quick] [--picture custom_cell.png]

The cell is the minimal gated unit (Zhou et al. 2016, arXiv:1603.09420). It learns whether a noisy sequence rises or
falls. Prints what was pruned and how much accuracy that costs. The picture shows the remaining weights.
"""

import argparse

import keras
import numpy as np
from keras import ops

import keras_sparse_rnn as ksr


@keras.saving.register_keras_serializable(package="examples")
class MinimalGatedUnit(keras.layers.Layer):
    """f = sigma(x W_f + h' R_f + b_f);  g = tanh(x W_g + (f * h') R_g + b_g);  h = (1 - f) * h' + f * g"""

    gates = ("f", "g")  # side by side in the columns of both kernels; pruning needs to know no more

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2 * self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, 2 * self.units), name="recurrent_kernel")
        self.bias = self.add_weight(shape=(2 * self.units,), initializer="zeros", name="bias")

    def call(self, x, states):
        h = states[0]
        x_f, x_g = ops.split(ops.matmul(x, self.kernel) + self.bias, 2, axis=-1)
        r_f, r_g = ops.split(ops.convert_to_tensor(self.recurrent_kernel), 2, axis=-1)
        f = ops.sigmoid(x_f + ops.matmul(h, r_f))
        g = ops.tanh(x_g + ops.matmul(f * h, r_g))
        h = (1 - f) * h + f * g
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def sequences(count, seed):
    rng = np.random.default_rng(seed)
    slope = rng.choice([-1, 1], size=count)
    x = np.linspace(-0.5, 0.5, 30) * slope[:, None] + rng.normal(size=(count, 30))
    return x[..., None].astype("float32"), (slope > 0).astype("int32")


def main(epochs, picture):
    keras.utils.set_random_seed(0)
    (x, y), test = sequences(1024, seed=0), sequences(512, seed=1)
    rnn = keras.layers.RNN(MinimalGatedUnit(32, name="cell"), name="mgu")
    model = keras.Sequential([keras.Input((30, 1)), rnn, keras.layers.Dense(2)])
    model.compile(
        keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    dense = model.evaluate(*test, verbose=0)[1]

    steps = epochs * len(x) // 32  # of this fit
    schedule = ksr.schedules.PolynomialDecay(0.0, 0.9, 0, steps // 2, frequency=max(1, steps // 20))
    pruning = ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=[pruning])

    print(f"{'kernel':28} {'shape':>10} {'zeros':>7}")
    for kernel in pruning.masks.kernels:
        zeros = ksr.sparsity.measure_kernels(model)[kernel.path]
        print(f"{kernel.path:28} {tuple(kernel.variable.shape)!s:>10} {zeros:7.1%}")
    print(f"accuracy, dense:  {dense:.1%}")
    print(f"accuracy, pruned: {model.evaluate(*test, verbose=0)[1]:.1%}")
    ksr.plot.weights(rnn).figure.savefig(picture, dpi=150)
    print(f"The recurrent kernel: {picture}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="train for a moment only")
    parser.add_argument("--picture", default="custom_cell.png", help="where to draw the weights; default: %(default)s")
    arguments = parser.parse_args()
    main(epochs=1 if arguments.quick else 10, picture=arguments.picture)
