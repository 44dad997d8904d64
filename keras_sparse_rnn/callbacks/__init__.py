"""Callbacks for pruning, sparse training and logging in `fit`."""

from keras_sparse_rnn.callbacks.after_pruning import AfterPruning
from keras_sparse_rnn.callbacks.dynamic_sparse_training import SET, DynamicSparseTraining, RigL, SelfishRNN
from keras_sparse_rnn.callbacks.keep_sparsity import KeepSparsity
from keras_sparse_rnn.callbacks.magnitude_pruning import MagnitudePruning
from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.callbacks.non_monotonic_trigger import NonMonotonicTrigger
from keras_sparse_rnn.callbacks.sparsity_logger import SparsityLogger
from keras_sparse_rnn.callbacks.threshold_pruning import ThresholdPruning

__all__ = [
    "SET",
    "AfterPruning",
    "DynamicSparseTraining",
    "KeepSparsity",
    "MagnitudePruning",
    "MaskCallback",
    "NonMonotonicTrigger",
    "RigL",
    "SelfishRNN",
    "SparsityLogger",
    "ThresholdPruning",
]
