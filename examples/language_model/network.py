"""The networks: an embedding, recurrent layers, and a decoder to the words."""

import keras
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
    for units in preset.units:
        options = {**preset.cell_options, "return_sequences": True, "stateful": batch is not None}
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
        return keras.Sequential([*layers, TiedDecoder(embedding)])
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
    """Logits by the vectors of an embedding and a bias for each word."""

    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding
        self.supports_masking = True

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(self.embedding.input_dim,), name="bias", initializer="zeros")

    def call(self, inputs):
        return ops.matmul(inputs, ops.transpose(self.embedding.embeddings)) + self.bias


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
