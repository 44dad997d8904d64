"""Recurrent networks sparse in weights and in activity, from `model.fit` to a microcontroller.

Importing this brings keras and numpy only (and with them the Keras backend): TensorFlow's converter and the
interpreters load where they are used.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_sparse_rnn._version import __version__

# The command line answers --help and bad use at once, and silently: it does not wait for Keras. Everybody else gets the
# whole, since importing it is what makes the layers known to `keras.saving`.
_IS_COMMAND_LINE = Path("".join(sys.argv[:1])).stem == "keras-sparse-rnn" or sys.orig_argv[1:3] == [
    "-m",
    "keras_sparse_rnn",
]

if TYPE_CHECKING or not _IS_COMMAND_LINE:
    from keras_sparse_rnn import (
        callbacks,
        initializers,
        layers,
        optimizers,
        plot,
        profiling,
        regularizers,
        runtime,
        schedules,
        sparsity,
    )
    from keras_sparse_rnn.convert import ConvertedModel, VerificationError, convert
    from keras_sparse_rnn.from_tf_keras import from_tf_keras, from_tfmot
    from keras_sparse_rnn.inspection import inspect
    from keras_sparse_rnn.keras_weights import load_keras_weights
    from keras_sparse_rnn.profiling.profile import profile, summary
    from keras_sparse_rnn.pruner import Pruner, prune
    from keras_sparse_rnn.report import report
    from keras_sparse_rnn.shrink import shrink

__all__ = [
    "ConvertedModel",
    "Pruner",
    "VerificationError",
    "__version__",
    "callbacks",
    "convert",
    "from_tf_keras",
    "from_tfmot",
    "initializers",
    "inspect",
    "layers",
    "load_keras_weights",
    "optimizers",
    "plot",
    "profile",
    "profiling",
    "prune",
    "regularizers",
    "report",
    "runtime",
    "schedules",
    "shrink",
    "sparsity",
    "summary",
]
