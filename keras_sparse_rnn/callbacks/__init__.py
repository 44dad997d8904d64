"""What acts during `fit`."""

from keras_sparse_rnn.callbacks.magnitude_pruning import MagnitudePruning
from keras_sparse_rnn.callbacks.mask_callback import MaskCallback

__all__ = ["MagnitudePruning", "MaskCallback"]
