"""Pruning by magnitude: the smallest weights, or blocks of weights, become zero."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.schedules import RampThreshold
from keras_sparse_rnn.sparsity import SCORES, Kernel, Masks
from keras_sparse_rnn.sparsity.structure import GateDensity, Pattern
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score

SCOPES = ("layer", "global")


class MagnitudePruning(MaskCallback):
    """Sets the smallest weights to zero while the model trains, ever more of them as the schedule asks.

    Gradual magnitude pruning (Zhu & Gupta 2017, arXiv:1710.01878), by blocks (Narang et al. 2017, arXiv:1711.02782) if
    `block_shape` is larger than (1, 1). At each step that the schedule names, the blocks are ranked by `score` and the
    lowest are masked, so that the sparsity is within one block of what was asked. A masked block ranks lowest and
    stays masked for as long as the schedule does not fall. `schedule(0)` acts before the first update of the fit,
    `schedule(n)` after n updates.

    The pruned model is a plain Keras model: nothing to strip, and a saved file of Keras's own layers opens without this
    package. In a model that has been pruned already the zeros that are there are a floor: a schedule that asks for less
    begins to act when it asks for more.

    Args:
        schedule: `schedules.PolynomialDecay`, `schedules.ConstantSparsity`, tfmot's schedules of the same names, or any
            function step -> (due, sparsity in [0, 1)).
        block_shape: Pair (rows, cols) of the blocks that tile a kernel (inputs, gates * units). A block never crosses
            a gate; ragged edges count their real weights only. (1, 1) prunes single weights; (1, 4) is what the
            kernels on a microcontroller like best.
        scope: `"layer"`: each kernel and recurrent kernel reaches the sparsity on its own. `"global"`: all of them
            together, ranked in one list, so that kernels of small weights lose more, up to all of them, of which a
            warning tells.
        layers: None for the kernels and recurrent kernels of all recurrent layers; otherwise names, compiled regular
            expressions, layers or functions of a layer (see `sparsity.find_kernels`), by which Dense and Embedding
            layers can be pruned too. For another sparsity or other blocks in some layers, give `fit` a callback for
            each kind; no two may prune the same kernel.
        score: Worth of a block: `"l1"` (mean |w|, the default, as in tfmot), `"l2"` (root mean square) or `"max"`.
        count_from: `"fit"`: steps are counted from the beginning of epoch 0 of `fit`, also where a fit with an
            `initial_epoch`, or by `BackupAndRestore`, goes on with another. `"optimizer"`: they are
            `optimizer.iterations`, which go on in a second `fit`.
        keep_zeros: Whether the zeros of a model that is pruned already are a floor. If False, weights that were zero
            are trained again wherever the schedule asks for less.
        pattern: Pair (zeros, of), such as (2, 4): two zeros in every four weights that follow each other along the
            inputs of an output, as the sparse tensor cores of GPUs want them and as tfmot's `sparsity_m_by_n` makes
            them. The schedule's sparsity ends at zeros / of, 0.5 here; on the way there the smallest go first of those
            that the pattern lets go. The inputs of each kernel must be a multiple of `of`.
        gate_density: Maps the name of each gate of the pruned cells (`"z"`, `"r"`, `"h"` in a GRU; `"i"`, `"f"`, `"c"`,
            `"o"` in an LSTM) to the share of its weights that stays in the end, in (0, 1]. The gates share in these
            proportions what the schedule prunes of a kernel, which ends at one minus the mean of the densities. LPCNet
            has {"z": 0.2, "r": 0.3, "h": 0.5}, with a schedule that ends at 0.667.
        keep_diagonal: Whether the diagonals of recurrent kernels, by which a unit remembers itself, are never pruned,
            as in LPCNet and RNNoise: not in a masked block either. It counts as weights, but not in a block's worth.

    Attributes:
        masks: The masks, a `sparsity.Masks`, from the beginning of `fit`.
        skipped: Dict, from the beginning of `fit`: for each layer or weight that is not pruned, why.

    The logs carry `sparsity` at the end of each epoch: the masked share of the pruned kernels' weights.

    Put it first in the list of callbacks, before all that save, log or evaluate. Callbacks that choose an epoch, such
    as `EarlyStopping` with `restore_best_weights=True` and `ModelCheckpoint` with `save_best_only=True`, choose a dense
    one unless they are wrapped in `callbacks.AfterPruning`. If `fit` leaves the model less sparse than the schedule has
    asked for, whatever the cause, a warning has the numbers.

    Raises:
        ValueError: If an argument is outside what is allowed; in `fit`, if the model is not compiled, has nothing to
            prune, a layer is not found or cannot be pruned, a block is larger than a gate, another callback prunes the
            same kernel, the length of the fit is unknown to a schedule in shares of it, or pruning should have begun
            already and the weights have no zeros; if `pattern` does not divide a kernel, `gate_density` names other
            gates than a cell has, no kernel has a diagonal, the schedule does not end where these do, or the model has
            been pruned already to other places.

    Example:

    >>> schedule = ksr.schedules.PolynomialDecay(0.0, 0.9, begin=0.25, end=0.75)
    >>> model.fit(x, y, callbacks=[ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4))])

    Two zeros in four, in all layers; and a GRU as in LPCNet:

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
        if pattern is not None:
            Pattern(pattern)
            if self.block_shape != (1, 1) or gate_density is not None or keep_diagonal:
                raise ValueError(
                    f"pattern={pattern!r}: is one of single weights. It goes with block_shape=(1, 1), and not with "
                    "gate_density or keep_diagonal."
                )
        if gate_density is not None:
            GateDensity(gate_density)
            if scope == "global":
                raise ValueError("gate_density: each kernel is pruned by itself. It goes with scope='layer'.")
        self.keep_zeros = keep_zeros
        self.pattern = pattern
        self.gate_density = gate_density
        self.keep_diagonal = keep_diagonal
        self._floor: Any = 0.0  # what the sparsity, or that of each kernel, does not fall below

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
        # A schedule that falls finds the zeros that it has made itself: no more than it asks for.
        self._floor = self._found_beyond(asked) if self.keep_zeros else 0.0
        if acted:
            self.update(*acted)
        else:
            self._prune(0.0)
        final = self.asked()
        if np.any(self._floor) and final is not None and found > final + self.masks.largest_blocks:
            warnings.warn(
                f"The model is pruned to {found:.3g} already, and the schedule asks for {final:.3g} in the end: these "
                "zeros stay, and no others come. To train them again, give MagnitudePruning keep_zeros=False.",
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
        """Finds what is masked already, and whether that and the schedule go with a pattern or densities by gate."""
        masks, ends = self.masks, self.last_value()
        masks.recover_pruned()
        structure = masks.structure_sparsity
        if structure is None:
            return
        name = "pattern" if self.pattern else "gate_density"
        if ends is not None and abs(ends - structure) > 0.005:
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
        """The sparsity that is there, of each kernel or of all, where it is more than what was asked; 0 elsewhere."""
        masks = self.masks
        if self.scope == "global":
            found, block = masks.sparsity, masks.largest_blocks
        else:
            found = np.array(masks.sparsities)
            block = np.array([int(blocks.sizes.max()) / int(blocks.sizes.sum()) for blocks in masks.blocks])
        return np.where(found > asked + block, found, 0)
