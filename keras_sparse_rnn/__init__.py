"""Recurrent networks sparse in weights and in activity, from `model.fit` to a microcontroller.

Importing this brings keras and numpy only (and with them the Keras backend): TensorFlow's converter and the
interpreters load where they are used.
"""

from keras_sparse_rnn import (
    callbacks,
    initializers,
    layers,
    optimizers,
    profiling,
    regularizers,
    runtime,
    schedules,
    sparsity,
)
from keras_sparse_rnn._version import __version__
from keras_sparse_rnn.convert import ConvertedModel, VerificationError, convert
from keras_sparse_rnn.from_tfmot import from_tfmot
from keras_sparse_rnn.inspection import inspect
from keras_sparse_rnn.profiling import profile, summary
from keras_sparse_rnn.shrink import shrink

__all__ = [
    "ConvertedModel",
    "VerificationError",
    "__version__",
    "callbacks",
    "convert",
    "from_tfmot",
    "initializers",
    "inspect",
    "layers",
    "optimizers",
    "profile",
    "profiling",
    "regularizers",
    "runtime",
    "schedules",
    "shrink",
    "sparsity",
    "summary",
]
