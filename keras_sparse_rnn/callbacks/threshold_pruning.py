"""Pruning by a threshold that increases during training."""

import math
from typing import Literal

import numpy as np

from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.regularizers import BlockGroupLasso
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay
from keras_sparse_rnn.sparsity import Kernel, Masks
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, check_flag


class ThresholdPruning(MaskCallback):
    """Sets blocks to zero if all of their weights are below a threshold that increases during training.

    This is the gradual pruning of Narang et al. 2017 (arXiv:1704.05119) and, for blocks of more than one weight, its
    extension (arXiv:1711.02782). Whenever the schedule is due, all masks are recomputed from the current weights. A
    block of N weights is masked if

        max |w| < threshold * N^(1/4)

    At a ragged edge, N counts the real weights of the block. The sparsity follows from the threshold and differs
    between kernels. To prescribe a sparsity, use `MagnitudePruning`.

    Weights may return until pruning ends. As in the paper, masked weights still receive gradients, and they are set to
    zero after each optimizer update. When the schedule is due, the masks are recomputed before that: a block returns,
    with the weights of this one update, if the update moved one of them to the threshold. (With
    `steps_per_execution=K`, these are K updates.) Blocks therefore return early in training, while the threshold is no
    larger than an update, and rarely later. After the last step of the schedule, the masks are final.

    **Group lasso with pruning (GLP, arXiv:1711.02782).** If a pruned kernel has a `regularizers.BlockGroupLasso` with
    the same blocks, the lasso is switched on when training begins and off when pruning ends, in `fit` and in
    `evaluate`; both are compiled once more. If other layers share the instance, it is switched for them too. A model
    that is saved afterwards keeps it off.

    The pruned model is a plain Keras model, as with `MagnitudePruning`.

    Args:
        schedule: `schedules.RampThreshold`, or any function step -> (due, threshold >= 0). If it has an attribute
            `end_step`, pruning ends at that step.
        block_shape: Pair (rows, cols) of the blocks that tile a kernel (inputs, gates * units). A block never crosses a
            gate. (1, 1) prunes single weights.
        layers: The layers to prune. None selects the kernels and recurrent kernels of all recurrent layers; for other
            values see `sparsity.find_kernels`. In the papers, each type of layer has its own schedule: use one callback
            for each.
        count_from: `"fit"`, or `"optimizer"` to count steps as `optimizer.iterations` does; see `MagnitudePruning`.
        keep_zeros: Whether blocks that are zero when training begins, as in an already pruned model, stay masked. If
            False, they can return.
        keep_diagonal: Whether to keep the diagonals of recurrent kernels, as for `MagnitudePruning`. There is no
            `pattern` and no `gate_density`: a threshold decides how many weights remain, and where.

    Attributes:
        masks: The masks, a `sparsity.Masks`. Available once `fit` has started.
        skipped: Dict that maps each layer or weight that is not pruned to the reason. Available once `fit` has started.

    The logs contain `sparsity` at the end of each epoch. Put this callback first in the list.

    Raises:
        ValueError: If an argument is out of range. In `fit`, if the model is not compiled or has nothing to prune, a
            layer is not found or cannot be pruned, a block is larger than a gate, another callback prunes the same
            kernel, the schedule is in fractions of a fit whose length is not known, a `BlockGroupLasso` on a pruned
            kernel has other blocks, or pruning should have ended already and the weights have no zeros.

    Example:

    >>> schedule = ksr.schedules.RampThreshold.from_model(dense, begin_step=500, ramp_step=2500, end_step=5000)
    >>> lasso = ksr.regularizers.BlockGroupLasso(1e-4, block_shape=(4, 4), gates=3)
    >>> layer = keras.layers.GRU(128, kernel_regularizer=lasso, recurrent_regularizer=lasso)
    >>> model.fit(x, y, callbacks=[ksr.callbacks.ThresholdPruning(schedule, block_shape=(4, 4))])
    """

    def __init__(
        self,
        schedule: ScheduleFunction,
        block_shape: BlockShape = (1, 1),
        layers: LayerSelection = None,
        count_from: Literal["fit", "optimizer"] = "fit",
        keep_zeros: bool = True,
        *,
        keep_diagonal: bool = False,
    ) -> None:
        super().__init__(schedule, block_shape, layers, count_from)
        if isinstance(schedule, (ConstantSparsity, PolynomialDecay)):
            raise ValueError(
                f"schedule: {type(schedule).__name__} gives a sparsity; ThresholdPruning needs a threshold on |w|, as "
                "schedules.RampThreshold gives it. For a sparsity use MagnitudePruning."
            )
        self.keep_zeros = check_flag("keep_zeros", keep_zeros)
        self.keep_diagonal = check_flag("keep_diagonal", keep_diagonal)
        self._floor: list[np.ndarray] = []  # blocks that may be kept, if the model is already pruned

    def masks_over(self, kernels: list[Kernel]) -> Masks:
        return Masks(kernels, self.block_shape, keep_diagonal=self.keep_diagonal)

    def start(self, step: int) -> None:
        self._check_lassos()
        acted = self.last_acted(step)
        begins = acted is None or acted[0] == step
        if begins:
            self.masks.recover_pruned()
            if not self.keep_zeros:
                self.masks.keep([np.ones_like(kept) for kept in self.masks.kept])
        else:
            self.masks.recover()
        self._floor = list(self.masks.kept) if begins else [np.ones_like(kept) for kept in self.masks.kept]
        ended = self.step >= self._end_step >= 0
        self._switch_lassos(on=not ended)
        if acted and begins:
            self.update(*acted)
        elif acted and ended and self.masks.sparsity == 0 and not all(kept.all() for kept in self._above(acted[1])):
            raise ValueError(
                f"Training is at step {step} and pruning ended at step {self._end_step}, but no block of shape "
                f"{self.block_shape} is zero. If this is a checkpoint of a pruned model, it was written before the "
                "weights were masked: list ThresholdPruning before BackupAndRestore or ModelCheckpoint. If the model "
                f"was trained without pruning so far, let the schedule begin at step {step} or later."
            )

    def update(self, step: int, value: float) -> None:
        if not 0 <= value < math.inf:
            raise ValueError(f"schedule({step}) gave the threshold {value}: must be a number >= 0.")
        self.masks.keep([above & floor for above, floor in zip(self._above(value), self._floor, strict=True)])
        self.warn_of_empty_kernels()
        if step == self._end_step:
            self._switch_lassos(on=False)

    def _above(self, threshold):
        """Returns a bool array per kernel, True for the blocks that reach the threshold or have nothing to mask."""
        masks = self.masks
        worth = (blocks.score(w, "max") for blocks, w in zip(masks.blocks, masks.values(), strict=True))
        # Not `>=`: the NaNs of a diverged training must stay visible instead of being masked.
        each = zip(masks.blocks, worth, masks.maskable, strict=True)
        return [~(s < threshold * blocks.sizes**0.25) | (sizes == 0) for blocks, s, sizes in each]

    def _lassos(self):
        """Returns pairs (kernel, lasso) of the kernels that have a group lasso."""
        pairs = ((kernel, kernel.variable.regularizer) for kernel in self.masks.kernels)
        return [(kernel, lasso) for kernel, lasso in pairs if isinstance(lasso, BlockGroupLasso)]

    def _check_lassos(self):
        if self._lassos() and not self.model.compiled:
            raise ValueError(
                f"{self._lassos()[0][0].path} has a BlockGroupLasso, which ThresholdPruning switches off when pruning "
                "ends: train a compiled model, by fit or train_on_batch, or leave the lasso out."
            )
        for kernel, lasso in self._lassos():
            if (lasso.block_shape, lasso.gates) != (self.block_shape, kernel.gates):
                raise ValueError(
                    f"{kernel.path} has a BlockGroupLasso with block_shape={lasso.block_shape}, gates={lasso.gates}, "
                    f"but is pruned with block_shape={self.block_shape}, gates={kernel.gates}: must be the same."
                )
            if kernel.outputs != (-1,):
                raise ValueError(
                    f"{kernel.path} has a BlockGroupLasso, which takes the last axis for the outputs; those of a "
                    f"{type(kernel.layer).__name__} are the axes {kernel.outputs}. Leave the lasso out."
                )

    def _switch_lassos(self, on):
        switched = [lasso for _, lasso in self._lassos() if lasso.active != on]
        for lasso in switched:
            lasso.active = on
        if switched:
            # Compiled functions keep the penalty that they were traced with.
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)
