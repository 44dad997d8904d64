"""Keeps the zeros of a pruned model during fine-tuning."""

import math
import warnings

from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.typing import BlockShape, LayerSelection


class KeepSparsity(MaskCallback):
    """Keeps the zeros of a pruned model during further training.

    A pruned model is a plain Keras model, so `fit` alone trains all of its weights, zeros included. With this callback
    the weights that are zero when `fit` starts stay zero, whether `MagnitudePruning`, `ksr.prune` or
    tensorflow-model-optimization set them to zero.

    A kernel that contains only zeros, as after initialization with zeros, is trained as usual. So is a kernel with at
    most one zero in 10,000 weights, which may be there by chance.

    Args:
        layers: The layers whose zeros are kept; by default all that can be pruned. See `sparsity.find_kernels`.
        block_shape: Pair (rows, cols). Blocks of this shape stay zero if all of their weights are zero.

    Attributes:
        masks: The masks, a `sparsity.Masks`, from the beginning of `fit`.
        skipped: Dict, from the beginning of `fit`: maps each layer or weight whose zeros are not kept to the reason.

    The logs contain `sparsity` at the end of each epoch. Put this callback first in the list of callbacks. It warns if
    it finds no zeros.

    Raises:
        ValueError: As `MagnitudePruning`.

    Example:

    >>> model = keras.models.load_model("pruned.keras")
    >>> model.fit(x, y, callbacks=[ksr.callbacks.KeepSparsity()])
    """

    keeps_frozen = True

    def __init__(self, layers: LayerSelection = "all", block_shape: BlockShape = (1, 1)) -> None:
        super().__init__(_Never(), block_shape, layers)

    def start(self, step: int) -> None:
        self.masks.recover_pruned()
        if not self.masks.sparsity:
            warnings.warn(
                f"KeepSparsity finds no zeros to keep in {', '.join(k.path for k in self.masks.kernels)}.",
                stacklevel=2,
            )

    def update(self, step: int, value: float) -> None:
        """Leaves the masks as they are, whatever `step` and `value`; it is never called."""

    @property
    def complete(self) -> bool:
        """Always True: the model has its final sparsity from the start."""
        return True


class _Never:
    """A schedule that never acts."""

    def __call__(self, step):
        return False, 0.0

    def next_due(self, step):
        return math.inf
