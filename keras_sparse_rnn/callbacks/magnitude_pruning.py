"""Magnitude pruning: the smallest weights, or blocks of weights, are set to zero."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.schedules import RampThreshold
from keras_sparse_rnn.sparsity import SCORES, Kernel, Masks
from keras_sparse_rnn.sparsity.structure import NEAR, structure_of
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score, check_flag

SCOPES = ("layer", "global")


class MagnitudePruning(MaskCallback):
    """Gradually sets the smallest weights to zero during training, following a sparsity schedule.

    This is gradual magnitude pruning (Zhu & Gupta 2017, arXiv:1710.01878), applied to blocks (Narang et al. 2017,
    arXiv:1711.02782) if `block_shape` is larger than (1, 1). Whenever the schedule is due, the blocks are ranked by
    `score` and those with the lowest score are masked, so that the sparsity matches the schedule to within one block.
    Masked blocks rank lowest: they stay masked as long as the schedule does not decrease. `schedule(0)` acts before
    the first update of the fit, `schedule(n)` after n updates.

    The pruned model is a plain Keras model. There is nothing to strip, and a saved model with only Keras layers loads
    without this package. If the model is already pruned, its zeros are a lower bound: the schedule takes effect once
    it asks for a higher sparsity.

    Args:
        schedule: `schedules.PolynomialDecay`, `schedules.ConstantSparsity`, tfmot's schedules of the same names, or any
            function step -> (due, sparsity in [0, 1)).
        block_shape: Pair (rows, cols) of the blocks that tile a kernel (inputs, gates * units). A block never crosses
            a gate. At ragged edges only real weights count. (1, 1) prunes single weights; (1, 4) is fastest with the
            kernels for microcontrollers.
        scope: `"layer"`: each kernel and recurrent kernel reaches the sparsity on its own. `"global"`: the blocks of
            all kernels are ranked together, so kernels with small weights lose more. If a kernel loses all of its
            weights, a warning says so.
        layers: The layers to prune. None selects the kernels and recurrent kernels of all recurrent layers. Otherwise
            names, compiled regular expressions, layers or functions of a layer (see `sparsity.find_kernels`); these can
            also select Dense and Embedding layers. To use another sparsity or block shape for some layers, pass several
            callbacks to `fit`. No two of them may prune the same kernel.
        score: Score of a block: `"l1"` (mean |w|, the default, as in tfmot), `"l2"` (root mean square) or `"max"`.
        count_from: `"fit"`: steps are counted from the beginning of epoch 0 of `fit`. A fit that continues another one,
            with `initial_epoch` or `BackupAndRestore`, continues its count. `"optimizer"`: steps are
            `optimizer.iterations`, which also continue in a second `fit`.
        keep_zeros: Whether the zeros of an already pruned model are a lower bound. If False, weights that were zero
            are trained again wherever the schedule asks for a lower sparsity.
        pattern: Pair (zeros, of), such as (2, 4): two zeros in every four consecutive weights along the inputs of an
            output. The sparse tensor cores of GPUs need such a pattern, and tfmot's `sparsity_m_by_n` produces it. The
            schedule must end at the sparsity zeros / of, here 0.5. Until then, the smallest weights that the pattern
            allows to prune are pruned first. The number of inputs of each kernel must be a multiple of `of`.
        gate_density: Maps the name of each gate of the pruned cells (`"z"`, `"r"`, `"h"` in a GRU; `"i"`, `"f"`, `"c"`,
            `"o"` in an LSTM) to the fraction of its weights that finally remains, in (0, 1]. The weights that the
            schedule prunes are distributed over the gates in proportion to one minus these densities. The schedule must
            end at one minus the mean of the densities. LPCNet uses {"z": 0.2, "r": 0.3, "h": 0.5}, with a schedule that
            ends at 0.667.
        keep_diagonal: Whether to keep the diagonals of recurrent kernels, through which each unit reads its own state,
            even in masked blocks, as in LPCNet and RNNoise. Diagonal weights count as weights, but not in the score of
            a block.

    Attributes:
        masks: The masks, a `sparsity.Masks`. Available once `fit` has started.
        skipped: Dict that maps each layer or weight that is not pruned to the reason. Available once `fit` has started.

    The logs contain `sparsity` at the end of each epoch: the fraction of the pruned kernels' weights that is masked.

    Put this callback first in the list, before callbacks that save, log or evaluate. Callbacks that select an epoch,
    such as `EarlyStopping` with `restore_best_weights=True` and `ModelCheckpoint` with `save_best_only=True`, tend to
    select a dense one unless they are wrapped in `callbacks.AfterPruning`. If the model is less sparse at the end of
    `fit` than the schedule asks for, for whatever reason, a warning states both numbers.

    Raises:
        ValueError: If an argument is out of range. In `fit`, if the model is not compiled or has nothing to prune, a
            layer is not found or cannot be pruned, a block is larger than a gate, another callback prunes the same
            kernel, the schedule is in fractions of a fit whose length is not known, or pruning should have begun
            already and the weights have no zeros. Also if `pattern` does not divide a kernel, the names in
            `gate_density` are not those of a cell's gates, no kernel has a diagonal, the schedule does not end at the
            sparsity of `pattern` or `gate_density`, or the zeros of the model do not fit them.

    Example:

    >>> schedule = ksr.schedules.PolynomialDecay(0.0, 0.9, begin=0.25, end=0.75)
    >>> model.fit(x, y, callbacks=[ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4))])

    Two zeros in every four weights, in all layers; and the densities of LPCNet:

    >>> half = ksr.schedules.PolynomialDecay(0.0, 0.5, begin=0.25, end=0.75)
    >>> two_of_four = ksr.callbacks.MagnitudePruning(half, layers="all", pattern=(2, 4))
    >>> two_thirds = ksr.schedules.PolynomialDecay(0.0, 0.667, begin=0.25, end=0.75)
    >>> by_gate = {"z": 0.2, "r": 0.3, "h": 0.5}
    >>> lpcnet = ksr.callbacks.MagnitudePruning(two_thirds, (4, 8), gate_density=by_gate, keep_diagonal=True)
    """

    def __init__(
        self,
        schedule: ScheduleFunction,
        block_shape: BlockShape = (1, 1),
        scope: Literal["layer", "global"] = "layer",
        layers: LayerSelection = None,
        score: Score = "l1",
        count_from: Literal["fit", "optimizer"] = "fit",
        keep_zeros: bool = True,
        *,
        pattern: tuple[int, int] | None = None,
        gate_density: Mapping[str, float] | None = None,
        keep_diagonal: bool = False,
    ) -> None:
        super().__init__(schedule, block_shape, layers, count_from)
        if isinstance(schedule, RampThreshold):
            raise ValueError(
                "schedule: RampThreshold gives a threshold on |w|; MagnitudePruning needs a sparsity, as "
                "schedules.PolynomialDecay gives it. For a threshold use ThresholdPruning."
            )
        if scope not in SCOPES:
            raise ValueError(f"scope={scope!r}: must be one of {SCOPES}.")
        if score not in SCORES:
            raise ValueError(f"score={score!r}: must be one of {SCORES}.")
        self.scope = scope
        self.score = score
        structure_of(pattern, gate_density, keep_diagonal, self.block_shape)
        if gate_density is not None and scope == "global":
            raise ValueError("gate_density: each kernel is pruned separately. It goes with scope='layer'.")
        self.keep_zeros = check_flag("keep_zeros", keep_zeros)
        self.pattern = pattern
        self.gate_density = gate_density
        self.keep_diagonal = keep_diagonal
        self._floor: Any = 0.0  # lower bound of the sparsity, overall or per kernel

    def masks_over(self, kernels: list[Kernel]) -> Masks:
        return Masks(kernels, self.block_shape, self.pattern, self.gate_density, self.keep_diagonal)

    def start(self, step: int) -> None:
        self._check_structure()
        acted, found = self.last_acted(step), self.masks.sparsity
        asked = acted[1] if acted else 0.0
        if acted and acted[0] < step and asked > 0 and found == 0:
            raise ValueError(
                f"Training is at step {step} and the schedule pruned to {asked:.3g} at step {acted[0]}, but no "
                f"block of shape {self.block_shape} is zero. If this is a checkpoint of a pruned model, it was written "
                "before the weights were masked: list MagnitudePruning before BackupAndRestore or ModelCheckpoint. If "
                f"the model was trained without pruning so far, let the schedule begin at step {step} or later."
            )
        # With a decreasing schedule, the zeros found may be its own: keep only those beyond what it asks for.
        self._floor = self._found_beyond(asked) if self.keep_zeros else 0.0
        if acted:
            self.update(*acted)
        else:
            self._prune(0.0)
        final = self.asked()
        if np.any(self._floor) and final is not None and found > final + self.masks.largest_blocks:
            warnings.warn(
                f"The model is pruned to {found:.3g} already, and the schedule asks for {final:.3g} in the end: these "
                "zeros stay, and no others are added. To train them again, give MagnitudePruning keep_zeros=False.",
                stacklevel=2,
            )

    def update(self, step: int, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"schedule({step}) gave the sparsity {value}: must be in [0, 1).")
        self._prune(value)

    def asked(self) -> float | None:
        value, structure = self.last_value(), self.masks.structure_sparsity
        return value if value is None or structure is None else structure

    def _prune(self, sparsity):
        self.masks.prune(np.maximum(sparsity, self._floor), self.score, self.scope)
        self.warn_of_empty_kernels()

    def _check_structure(self):
        """Reads the masks from the weights, and checks them and the schedule against the pattern or gate densities."""
        masks, ends = self.masks, self.last_value()
        masks.recover_pruned()
        structure = masks.structure_sparsity
        if structure is None:
            return
        name = "pattern" if self.pattern else "gate_density"
        if ends is not None and abs(ends - structure) > NEAR:
            raise ValueError(
                f"{name}={getattr(self, name)} is a sparsity of {structure:.4g}, but the schedule ends at {ends:.4g}: "
                f"let it end at {structure:.4g}."
            )
        if self.keep_zeros and not masks.fits_structure():
            raise ValueError(
                f"{name}={getattr(self, name)}: the model is pruned already, to a sparsity of {masks.sparsity:.3g}, in "
                "other places than these. To train its zeros again, give MagnitudePruning keep_zeros=False."
            )

    def _found_beyond(self, asked):
        """Returns the present sparsity, per kernel or overall, where it exceeds `asked`; 0 elsewhere."""
        masks = self.masks
        if self.scope == "global":
            found, block = masks.sparsity, masks.largest_blocks
        else:
            found = np.array(masks.sparsities)
            block = np.array([int(blocks.sizes.max()) / int(blocks.sizes.sum()) for blocks in masks.blocks])
        return np.where(found > asked + block, found, 0)
