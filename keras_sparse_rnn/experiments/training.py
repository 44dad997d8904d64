"""Nets for classification, and the recipe with which all of them are trained."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.callbacks import MagnitudePruning
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.regularizers import EventPenalty
from keras_sparse_rnn.schedules import PolynomialDecay

SPARSITY, BLOCK = 0.9, (1, 4)
RAMP = (0.10, 0.65)  # shares of the training at which pruning begins and ends


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of the training on one data set.

    Attributes:
        units: Units of the EventGRU, and of the GRUs of the same size.
        smaller: Units of the smaller dense GRUs, tried in this order until one is as accurate as the EventGRU.
        seeds: Each net is trained once with each seed.
        epochs, batch: Epochs of a training, and sequences per batch.
        learning_rate: Largest learning rate of AdamW; warm-up over a twentieth of the steps, then a cosine decay to
            zero.
        noise: Standard deviation of the noise that is added to each standardised feature in training.
        offset: Standard deviation of the noise that is added to each channel, constant over a sequence.
        dropout: Dropout rate before the last layer.
        event_penalty: Strength of the EventGRU's `EventPenalty`.
    """

    units: int
    smaller: tuple
    seeds: tuple
    epochs: int
    batch: int
    learning_rate: float
    noise: float
    offset: float
    dropout: float
    event_penalty: float


RECIPES = {
    "japanese-vowels": Recipe(
        units=128,
        smaller=(8, 12, 16, 24, 32, 48),
        seeds=(0, 1, 2),
        epochs=100,
        batch=32,
        learning_rate=1e-2,
        noise=0.4,
        offset=0.3,
        dropout=0.2,
        event_penalty=1.0,
    ),
    "fsdd": Recipe(
        units=128,
        smaller=(12, 16, 24, 32),
        seeds=(0,),
        epochs=40,
        batch=64,
        learning_rate=1e-2,
        noise=0.4,
        offset=0.2,
        dropout=0.1,
        event_penalty=0.5,
    ),
}


def build(kind, units, data, recipe):
    """Builds and compiles a net: the mean over time of its states goes to a softmax layer.

    Args:
        kind: "EventGRU" or "GRU".
        units: Number of units.
        data, recipe: The `Data` and the `Recipe` of its training.
    """
    if kind == "EventGRU":
        penalty = EventPenalty(recipe.event_penalty)
        recurrent = EventGRU(
            units, return_sequences=True, readout="cell", activity_regularizer=penalty, name="recurrent"
        )
    else:
        recurrent = keras.layers.GRU(units, return_sequences=True, name="recurrent")
    return classifier(recurrent, data, recipe)


def classifier(recurrent, data, recipe):
    """Builds the same net around any recurrent layer that returns sequences, or a list of such layers."""
    model = keras.Sequential(
        [
            keras.Input(data.train.x.shape[1:], name="features"),
            *(recurrent if isinstance(recurrent, list) else [recurrent]),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dropout(recipe.dropout, seed=0),
            keras.layers.Dense(len(data.classes), activation="softmax", name="classes"),
        ]
    )
    steps = recipe.epochs * len(Batches(data.train, recipe, seed=0))
    warmup = steps // 20
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20, steps - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True,
    )
    model.optimizer.build(model.trainable_variables)  # otherwise TensorFlow traces the train step twice
    return model


def start_again(model, seed):
    """Gives a compiled model new initial weights, but keeps its compiled functions, which take long to make."""
    start_from(model, initial_weights(model, seed))


def initial_weights(model, seed):
    """Returns the weights of a new model like this one. Draws from generators that all threads share."""
    keras.utils.set_random_seed(seed)
    return keras.models.clone_model(model).get_weights()


def start_from(model, weights):
    """Sets the weights of a compiled model, and clears its optimizer."""
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros(variable.shape, variable.dtype))


def train(model, data, recipe, sparsity, seed, callbacks=(), watch=False, block=BLOCK, ahead=False):
    """Trains a net from `build` or `classifier`.

    Args:
        model: The net.
        data, recipe: The `Data` and the `Recipe`.
        sparsity: Share of its weights to prune during training, in blocks of the shape `block`; 0 prunes nothing.
        seed: Seed for the order of the sequences and the noise.
        callbacks: Further Keras callbacks.
        watch: Whether to evaluate on the test set from time to time; nothing is selected by the results.
        block: Shape of the blocks.
        ahead: Whether to make all batches before the training. Steps then take less time and use no generator that
            threads share. Requires TensorFlow.

    Returns:
        Keras's `History.history`.
    """
    batches = Batches(data.train, recipe, seed)
    steps = recipe.epochs * len(batches)
    if sparsity:
        begin, end = (round(share * steps) for share in RAMP)
        schedule = PolynomialDecay(0.0, sparsity, begin, end, frequency=max(1, steps // 100))
        callbacks = [MagnitudePruning(schedule, block_shape=block), *callbacks]
    return model.fit(
        _of_all_epochs(batches, recipe.epochs) if ahead else batches,
        epochs=recipe.epochs,
        steps_per_epoch=len(batches) if ahead else None,
        shuffle=not ahead,
        callbacks=list(callbacks),
        validation_data=(data.test.x, data.test.y) if watch else None,
        validation_freq=watched_epochs(recipe.epochs),
        validation_batch_size=len(data.test),
        verbose=0,
    ).history


def watched_epochs(epochs):
    """Returns about twenty epochs, counted from 1, after which a watched training evaluates on the test set."""
    return sorted({round(epoch) for epoch in np.linspace(1, epochs, min(epochs, 21))})


def _of_all_epochs(batches, epochs):
    """Returns all batches of a training as a `tf.data.Dataset`."""
    import tensorflow as tf

    made = []
    for _ in range(epochs):
        made += [batches[index] for index in range(len(batches))]
        batches.on_epoch_end()
    x, y = (np.concatenate(parts) for parts in zip(*made, strict=True))
    x, y = (values.reshape(epochs, -1, *values.shape[1:]) for values in (x, y))
    size = len(made[0][0])
    return tf.data.Dataset.from_tensor_slices((x, y)).flat_map(
        lambda *epoch: tf.data.Dataset.from_tensor_slices(epoch).batch(size)
    )


class Batches(keras.utils.PyDataset):
    """Shuffled batches of a split with noise on their real steps; padding stays silent."""

    def __init__(self, split, recipe, seed):
        super().__init__()
        self._split, self._recipe = split, recipe
        self._generator = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self._split) // self._recipe.batch)

    def __getitem__(self, index):
        chosen = self._order[index * self._recipe.batch : (index + 1) * self._recipe.batch]
        x = self._split.x[chosen]
        normal = self._generator.standard_normal
        x = x + self._recipe.noise * normal(x.shape, np.float32)
        x = x + self._recipe.offset * normal((len(x), 1, x.shape[2]), np.float32)
        return x * self._split.valid[chosen][..., None], self._split.y[chosen]

    def on_epoch_end(self):
        self._order = self._generator.permutation(len(self._split))
