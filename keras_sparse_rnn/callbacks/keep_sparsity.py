"""Training that goes on with a pruned model and leaves its zeros where they are."""

import warnings

from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.typing import BlockShape, LayerSelection


class KeepSparsity(MaskCallback):
    """Keeps the zeros of a model that has been pruned already while it is trained on.

    A pruned model is a plain Keras model: `fit` alone trains all of its weights, zeros included. With this callback
    the weights that are zero when `fit` begins stay zero, whoever has pruned them: `MagnitudePruning`, `ksr.prune`,
    tensorflow-model-optimization.

    A kernel that is all zeros, as some are initialized, is trained; so is one with a zero in 10,000 weights or fewer,
    as chance brings them.

    Args:
        layers: Which layers; by default all that can be pruned. See `sparsity.find_kernels`.
        block_shape: Pair (rows, cols): what stays zero are blocks of this shape that are zero as a whole.

    Attributes:
        masks: The masks, a `sparsity.Masks`, from the beginning of `fit`.
        skipped: Dict, from the beginning of `fit`: for each layer or weight that is not kept, why.

    The logs carry `sparsity` at the end of each epoch. Put it first in the list of callbacks. If there is nothing to
    keep, a warning says so.

    Raises:
        ValueError: As `MagnitudePruning`.

    Example:

    >>> model = keras.models.load_model("pruned.keras")
    >>> model.fit(x, y, callbacks=[ksr.callbacks.KeepSparsity()])
    """

    keeps_frozen = True

    def __init__(self, layers: LayerSelection = "all", block_shape: BlockShape = (1, 1)) -> None:
        super().__init__(_never, block_shape, layers)

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
        """True: the model is as sparse as it will be from the beginning."""
        return True


def _never(step):
    return False, 0.0
