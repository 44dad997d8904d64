"""The papers' recipes for the Penn Treebank, and one that a laptop can do."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import keras

import keras_sparse_rnn as ksr


@dataclass(frozen=True)
class Preset:
    """A network and how it is trained.

    Attributes:
        cell: One of `network.LAYERS`, with `cell_options`, and for the last of the layers also `last_cell_options`.
        units: Units of each recurrent layer.
        embedding: Length of a word's vector.
        tied: Whether the decoder has the embedding's vectors.
        vocabulary, train_words: As in `corpus.load`.
        epochs, batch, window: Epochs, rows that are read side by side, and words that a gradient reaches back through.
        random_windows: Whether the lengths of windows are drawn, and the rate follows them; see `corpus.windows`.
        optimizer: "adamw", "adam" (with `weight_decay` as L2), "sgd" or "snt-asgd".
        rate, decay: Learning rate, and its factor in epoch i of n, a function (i, n).
        beta_1: Decay of the mean gradient in AdamW and Adam; EvNN has 0.
        clip: Largest norm of all gradients together.
        word_dropout, input_dropout, dropout, output_dropout: Shares that are zero in training: of words, of their
            vectors, between recurrent layers, before the decoder.
        penalties: Strengths of the mean squares of the output and of its change.
        initial_range: Embedding and decoder start uniformly within plus and minus this, with `uniform_cells` also the
            matrices of the recurrent layers.
        frequent: Words of the first of two softmaxes of a tied decoder; 0 for one over all. See `network.TiedDecoder`.
        bias_by_frequency: Whether the decoder's bias starts at the logarithm of the words' frequencies, not at zero.
        method: None, "magnitude", "selfish", "set", "rigl" or "unit-lasso"; see `training.sparsifiers`.
        sparsity: Share of weights that the method leaves at zero.
        ramp: Shares of the training between which magnitude pruning goes on.
        drop_fraction: Share of the weights that "selfish" exchanges at first.
        lasso: Strength of "unit-lasso".
        everything: Whether embedding and decoder are made sparse too.
        zero_below: Magnitude below which weights of matrices are set to zero after each update.
        paper: What the source reports.
    """

    cell: str
    units: tuple
    embedding: int
    epochs: int
    batch: int
    window: int
    optimizer: str
    rate: float
    clip: float
    decay: Callable = lambda epoch, epochs: 1.0
    vocabulary: int | None = None
    train_words: int | None = None
    tied: bool = True
    random_windows: bool = False
    weight_decay: float = 0.0
    beta_1: float = 0.0
    word_dropout: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    output_dropout: float = 0.0
    dropout_shared_over: str = "nothing"
    penalties: tuple | None = None
    initial_range: float = 0.1
    uniform_cells: bool = False
    frequent: int = 0
    bias_by_frequency: bool = False
    zero_below: float = 0.0
    cell_options: dict = field(default_factory=dict)
    last_cell_options: dict = field(default_factory=dict)
    method: str | None = None
    sparsity: float = 0.0
    ramp: tuple = (0.0, 0.5)
    drop_fraction: float = 0.5
    lasso: float = 0.0
    everything: bool = False
    paper: str = ""


def cosine(begin, floor=0.0):
    """1 up to the share `begin` of the training, then half a cosine down to `floor`."""

    def factor(epoch, epochs):
        t = max(0.0, (epoch / epochs - begin) / (1 - begin))
        return floor + (1 - floor) * (1 + math.cos(math.pi * t)) / 2

    return factor


def event_gru(dropconnect, mean_logit=None, width=None):
    """Options of an EventGRU as in EvNN 0.1, with the mean of its threshold logits; without one as in EvNN 0.2.

    Initializers are serialized, so that each layer makes one of its own, from the seed of the run.
    """
    options = {
        "kernel_initializer": "glorot_normal",
        "recurrent_initializer": "glorot_normal",
        "recurrent_dropconnect": dropconnect,
        "carry_cell": False,
    }
    if mean_logit is None:
        initializer = keras.initializers.serialize(ksr.initializers.Beta(0.01))
        threshold = {"threshold_mode": "clipped", "threshold_initializer": initializer}
        surrogate = {"surrogate_height": 3.6, "surrogate_width": 1 / 3.6}
        return {**options, **threshold, **surrogate, "trainable_threshold": False}
    initializer = keras.initializers.serialize(keras.initializers.RandomNormal(mean_logit, math.sqrt(2)))
    return {**options, "threshold_initializer": initializer, "surrogate_width": width}


_EGRU = {
    "cell": "event_gru",
    "random_windows": True,
    "output_dropout": 0.5,
    "dropout_shared_over": "batch",
    "paper": "arXiv 2311.07625: test perplexity below 60 with up to 20 times fewer MACs, weights pruned",
}
_UNTIED_LSTM = {
    "cell": "lstm",
    "units": (1500, 1500),
    "embedding": 1500,
    "tied": False,
    "batch": 20,
    "window": 35,
}
_LARGE_LSTM = {
    **_UNTIED_LSTM,
    "epochs": 55,
    "optimizer": "sgd",
    "rate": 1.0,
    "clip": 10.0,
    "initial_range": 0.04,
    "uniform_cells": True,
}
_SELFISH = {"method": "selfish", "everything": True, "optimizer": "snt-asgd", "clip": 0.25, "weight_decay": 1.2e-6}

PRESETS = {
    # EvNN 0.2, benchmarks/lm: its recipe for arXiv 2311.07625. Pruning is not in that code: --sparsity is ours.
    "egru-1350": Preset(
        **_EGRU, units=(1350, 1350, 750), embedding=750, epochs=1000, batch=64, window=70, optimizer="adamw",
        rate=1.2e-3, decay=cosine(0.7), clip=0.1, weight_decay=0.1, word_dropout=0.1, input_dropout=0.6, dropout=0.25,
        cell_options=event_gru(0.7),
    ),
    # EvNN 0.1, as of ICLR 2023.
    "egru-2000": Preset(
        **_EGRU, units=(2000, 2000, 786), embedding=786, epochs=2500, batch=128, window=67, optimizer="adam",
        rate=4.9417e-4, decay=cosine(0.5, 0.1), clip=2.0, weight_decay=6.6878e-6, word_dropout=0.1494,
        input_dropout=0.7651, dropout=0.2413, cell_options=event_gru(0.6214, -3.4957794302256007, 1 / 2.3522),
    ),
    "selfish-lstm": Preset(
        **_UNTIED_LSTM, **_SELFISH, epochs=100, rate=40.0, input_dropout=0.65, dropout=0.65, output_dropout=0.65,
        sparsity=0.67, drop_fraction=0.8, paper="Selfish-RNN: test perplexity 71.65 (valid 73.79) at 67 % zeros",
    ),
    "selfish-rhn": Preset(
        **_SELFISH, cell="highway", units=(830,), embedding=830, epochs=500, batch=20, window=35, rate=15.0,
        word_dropout=0.2, input_dropout=0.65, output_dropout=0.65, dropout_shared_over="time", sparsity=0.528,
        cell_options={"depth": 10, "recurrent_dropout": 0.25},
        paper="Selfish-RNN: test perplexity 60.35 (valid 62.10) at 53 % zeros",
    ),
    "selfish-onlstm": Preset(
        **_SELFISH, cell="on_lstm", units=(1150, 1150, 400), embedding=400, epochs=1000, batch=20, window=70,
        random_windows=True, rate=15.0, word_dropout=0.1, input_dropout=0.5, dropout=0.3, output_dropout=0.45,
        dropout_shared_over="time", penalties=(2.0, 1.0), sparsity=0.55,
        cell_options={"chunk_size": 10, "recurrent_dropconnect": 0.45},
        paper="Selfish-RNN: test perplexity 56.31 (valid 58.17) at 55 % zeros",
    ),
    # iss-rnns, `sparselarge`; the paper's loss is a sum over the window, ours a mean.
    "iss-lstm": Preset(
        **_LARGE_LSTM, decay=lambda epoch, epochs: 0.1 ** (epoch * 3 // epochs), input_dropout=0.4, dropout=0.4,
        output_dropout=0.4, method="unit-lasso", lasso=0.00245 / 35, zero_below=1e-4,
        paper="dense, as iss-rnns reports it: test perplexity 78.57 (valid 82.57)",
    ),
    # Zhu & Gupta 2017, arXiv 1710.01878, on the large LSTM.
    "lstm-pruned": Preset(
        **_LARGE_LSTM, decay=lambda epoch, epochs: 1.15 ** -max(0, epoch - 13), input_dropout=0.65, dropout=0.65,
        output_dropout=0.65, method="magnitude", sparsity=0.9, ramp=(0.1, 0.7), everything=True,
        paper="arXiv 1710.01878: test perplexity 80.24 at 90 % zeros, 78.45 dense",
    ),
    # `selfish-lstm` at a fifteenth of its size; of 2,000 words, so that the LSTM has its share of the weights.
    "selfish-small": Preset(
        **{**_UNTIED_LSTM, "units": (100, 100), "embedding": 100}, **_SELFISH, vocabulary=2000, train_words=200_000,
        epochs=8, rate=20.0, input_dropout=0.2, dropout=0.2, output_dropout=0.2, sparsity=0.67, drop_fraction=0.8,
    ),
    "small": Preset(
        cell="event_gru", units=(256, 128), embedding=128, epochs=6, batch=32, window=35, optimizer="adamw",
        rate=4e-3, beta_1=0.9, frequent=2000, bias_by_frequency=True, decay=cosine(0.0), clip=1.0, weight_decay=0.01,
        input_dropout=0.2, dropout=0.1, output_dropout=0.2,
        cell_options={"activity_regularizer": ksr.regularizers.EventPenalty(1.0, on="rate", target=0.1)},
        last_cell_options={"readout": "cell"},
    ),
}  # fmt: skip
