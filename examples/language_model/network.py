"""The networks: an embedding, recurrent layers, and a decoder to the words."""

import keras
import numpy as np
from keras import ops

import keras_sparse_rnn as ksr

# What a dropout mask is shared over: nothing, all steps of a window, or all rows of a batch as in EvNN.
DROPOUT_SHARED_OVER = {"nothing": None, "time": (None, 1, None), "batch": (1, None, None)}
LAYERS = {
    "event_gru": ksr.layers.EventGRU,
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
    "highway": ksr.layers.RecurrentHighway,
    "on_lstm": ksr.layers.ONLSTM,
}


def build(preset, vocabulary, batch=None):
    """The network of a preset: words (batch, time) -> logits (batch, time, vocabulary).

    With a batch size its recurrent layers carry their states from call to call; without, each call begins at zero.
    Where a word is -1, padding, the states are held.
    """

    def dropout(rate):
        return keras.layers.Dropout(rate, noise_shape=DROPOUT_SHARED_OVER[preset.dropout_shared_over])

    def uniform():
        return keras.initializers.RandomUniform(-preset.initial_range, preset.initial_range)

    embedding = WordEmbedding(
        vocabulary,
        preset.embedding,
        word_dropout=preset.word_dropout,
        embeddings_initializer=uniform(),
        mask_zero=preset.random_windows,
    )
    layers = [keras.Input((None,), batch, dtype="int32"), embedding, dropout(preset.input_dropout)]
    for place, units in enumerate(preset.units, start=1):
        options = {**preset.cell_options, "return_sequences": True, "stateful": batch is not None}
        if place == len(preset.units):
            options |= preset.last_cell_options
        if preset.uniform_cells:
            options |= {"kernel_initializer": uniform(), "recurrent_initializer": uniform()}
        layer = LAYERS[preset.cell](units, **options)
        layers += [layer, dropout(preset.dropout)]
    layers[-1] = dropout(preset.output_dropout)
    if preset.penalties:
        of_output, of_change = preset.penalties
        layers[-1:] = [SquaresPenalty(of_change, change=True), layers[-1], SquaresPenalty(of_output)]
    if preset.tied:
        if preset.units[-1] != preset.embedding:
            layers.append(keras.layers.Dense(preset.embedding, use_bias=False, name="projection"))
        frequent = preset.frequent if preset.frequent < vocabulary else 0
        return keras.Sequential([*layers, TiedDecoder(embedding, frequent)])
    return keras.Sequential([*layers, keras.layers.Dense(vocabulary, kernel_initializer=uniform(), name="decoder")])


class WordEmbedding(keras.layers.Embedding):
    """An embedding that leaves out whole words in training, wherever they stand; with `mask_zero` -1 is padding."""

    def __init__(self, input_dim, output_dim, word_dropout=0.0, **arguments):
        super().__init__(input_dim, output_dim, **arguments)
        self.word_dropout = word_dropout
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs, training=False):
        words = ops.maximum(inputs, 0)
        vectors = super().call(words)
        if training and self.word_dropout:
            ones = ops.ones((self.input_dim, 1), vectors.dtype)
            kept = keras.random.dropout(ones, self.word_dropout, seed=self.seed_generator)
            vectors = vectors * ops.take(kept, words, axis=0)
        return vectors

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, -1) if self.mask_zero else None

    def compute_output_spec(self, inputs, training=False):
        return super().compute_output_spec(inputs)

    def get_config(self):
        return {**super().get_config(), "word_dropout": self.word_dropout}


class TiedDecoder(keras.layers.Layer):
    """Logits by the vectors of an embedding and a bias for each word.

    With `frequent` the softmax has two levels (Goodman 2001; Grave et al. 2017, arXiv:1609.04309): over the first
    words, which are the most frequent ones, and one place for all others; and over these. Training then computes the
    second level only where such a word is next.
    """

    def __init__(self, embedding, frequent=0):
        super().__init__()
        self.embedding = embedding
        self.frequent = frequent
        self.supports_masking = True

    def build(self, input_shape):
        words, dim = self.embedding.input_dim, self.embedding.output_dim
        self.bias = self.add_weight(shape=(words,), name="bias", initializer="zeros")
        if self.frequent:
            self.rest = self.add_weight(shape=(dim, 1), name="rest", initializer="zeros")
            self.rest_bias = self.add_weight(shape=(1,), name="rest_bias", initializer="zeros")

    def start_at(self, counts):
        """Sets the biases to the logarithms of the words' frequencies."""
        frequencies = np.maximum(counts, 1) / np.sum(counts)
        self.bias.assign(np.log(frequencies))
        if self.frequent:
            self.rest_bias.assign(np.log(frequencies[self.frequent :].sum(keepdims=True)))

    def call(self, inputs):
        if not self.frequent:
            return self._logits(inputs, slice(None))
        first = ops.log_softmax(self._first_level(inputs))
        second = ops.log_softmax(self._logits(inputs, slice(self.frequent, None)))
        return ops.concatenate([first[..., :-1], first[..., -1:] + second], axis=-1)

    def losses_of(self, inputs, targets, most_rare=None):
        """Cross-entropy of each target at two levels; a softmax over what `call` returns gives the same.

        Args:
            inputs: (batch, time, dim).
            targets: Integers (batch, time).
            most_rare: A number that no batch has more targets than that are not frequent; None if it is not known.
        """
        rare = targets >= self.frequent
        losses = cross_entropy(ops.minimum(targets, self.frequent), self._first_level(inputs))
        rare, flat_targets = ops.reshape(rare, (-1,)), ops.reshape(targets, (-1,))
        # Where there are rare words, first; all places where it is not known how many there are.
        places = ops.argsort(ops.cast(ops.logical_not(rare), "int32"))[:most_rare]
        hidden = ops.take(ops.reshape(inputs, (-1, inputs.shape[-1])), places, axis=0)
        within = ops.maximum(ops.take(flat_targets, places) - self.frequent, 0)
        second = cross_entropy(within, self._logits(hidden, slice(self.frequent, None)))
        second = ops.where(ops.take(rare, places), second, 0.0)
        flat = ops.scatter_update(ops.zeros_like(ops.reshape(losses, (-1,))), places[:, None], second)
        return losses + ops.reshape(flat, ops.shape(losses))

    def _logits(self, inputs, words):
        return ops.matmul(inputs, ops.transpose(self.embedding.embeddings[words])) + self.bias[words]

    def _first_level(self, inputs):
        rest = ops.matmul(inputs, self.rest) + self.rest_bias
        return ops.concatenate([self._logits(inputs, slice(0, self.frequent)), rest], axis=-1)


def cross_entropy(targets, logits):
    """The loss of each target, an integer (...), by logits (..., words)."""
    return keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)


class SquaresPenalty(keras.layers.Layer):
    """Adds to the loss the mean square of what passes, or of its change from step to step (AR and TAR of AWD-LSTM)."""

    def __init__(self, strength, change=False):
        super().__init__()
        self.strength = strength
        self.change = change
        self.supports_masking = True

    def call(self, inputs, training=False):
        if training:
            values = inputs[:, 1:] - inputs[:, :-1] if self.change else inputs
            self.add_loss(self.strength * ops.mean(ops.square(values)))
        return inputs
