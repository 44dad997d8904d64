"""Pruning by magnitude: the smallest weights, or blocks of weights, become zero."""

import warnings
from typing import Literal

import numpy as np

from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.schedules import RampThreshold
from keras_sparse_rnn.sparsity import SCORES
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score

SCOPES = ("layer", "global")


class MagnitudePruning(MaskCallback):
    """Sets the smallest weights to zero while the model trains, ever more of them as the schedule asks.

    Gradual magnitude pruning (Zhu & Gupta 2017, arXiv:1710.01878), by blocks (Narang et al. 2017, arXiv:1711.02782) if
    `block_shape` is larger than (1, 1). At each step that the schedule names, the blocks are ranked by `score` and the
    lowest are masked, so that the sparsity is within one block of what was asked. A masked block ranks lowest and
    stays masked for as long as the schedule does not fall. The schedule counts `optimizer.iterations`: `schedule(0)`
    acts before the first update, `schedule(n)` after n updates.

    The pruned model is a plain Keras model: nothing to strip, and a saved file of Keras's own layers opens without this
    package. Training that goes on later, from a file or a checkpoint with its optimizer, starts from the zeros found
    in the weights.

    Args:
        schedule: `schedules.PolynomialDecay`, `schedules.ConstantSparsity`, tfmot's schedules of the same names, or any
            function step -> (due, sparsity in [0, 1)).
        block_shape: Pair (rows, cols) of the blocks that tile a kernel (inputs, gates * units). A block never crosses
            a gate; ragged edges count their real weights only. (1, 1) prunes single weights; (1, 4) is what the
            kernels on a microcontroller like best.
        scope: `"layer"`: each kernel and recurrent kernel reaches the sparsity on its own. `"global"`: all of them
            together, ranked in one list, so that kernels of small weights lose more, up to all of them.
        layers: None for the kernels and recurrent kernels of all recurrent layers; otherwise names, compiled regular
            expressions, layers or functions of a layer (see `sparsity.find_kernels`), by which Dense and Embedding
            layers can be pruned too. For another sparsity or other blocks in some layers, give `fit` a callback for
            each kind; no two may prune the same kernel.
        score: Worth of a block: `"l1"` (mean |w|, the default, as in tfmot), `"l2"` (root mean square) or `"max"`.

    Attributes:
        masks: The masks, a `sparsity.Masks`, from the beginning of `fit`.
        skipped: Dict, from the beginning of `fit`: for each layer or weight that is not pruned, why.

    The logs carry `sparsity` at the end of each epoch: the masked share of the pruned kernels' weights.

    Put it first in the list of callbacks, before all that save, log or evaluate. `EarlyStopping` with
    `restore_best_weights=True` may bring back weights of an epoch that was less sparse: give it a `start_from_epoch`
    after the end of the schedule.

    Raises:
        ValueError: If an argument is outside what is allowed; in `fit`, if the model is not compiled, has nothing to
            prune, a layer is not found, a block is larger than a gate, another callback prunes the same kernel, or
            pruning should have begun already and the weights have no zeros.

    Example:

    >>> schedule = ksr.schedules.PolynomialDecay(0.0, 0.9, begin_step=500, end_step=5000)
    >>> model.fit(x, y, callbacks=[ksr.callbacks.MagnitudePruning(schedule, block_shape=(1, 4))])
    """

    def __init__(
        self,
        schedule: ScheduleFunction,
        block_shape: BlockShape = (1, 1),
        scope: Literal["layer", "global"] = "layer",
        layers: LayerSelection = None,
        score: Score = "l1",
    ) -> None:
        super().__init__(schedule, block_shape, layers)
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

    def start(self, step: int) -> None:
        super().start(step)
        found, acted = self.masks.sparsity, self.last_acted(step)
        asked = acted[1] if acted else 0.0
        if acted and acted[0] < step and asked > 0 and found == 0:
            raise ValueError(
                f"The optimizer is at step {step} and the schedule pruned to {asked:.3g} at step {acted[0]}, but no "
                f"block of shape {self.block_shape} is zero. If this is a checkpoint of a pruned model, it was written "
                "before the weights were masked: list MagnitudePruning before BackupAndRestore or ModelCheckpoint. If "
                f"the model was trained without pruning so far, let the schedule begin at step {step} or later."
            )
        if found > asked + 0.1:
            warnings.warn(
                f"The model is pruned to {found:.3g} already, but the schedule asks for {asked:.3g} at step {step}: "
                "weights that were zero are trained again. To keep them at zero, use "
                f"schedules.ConstantSparsity({found:.3g}, begin_step={step}).",
                stacklevel=2,
            )
        if acted:
            self.update(*acted)
        else:
            self.masks.keep([np.ones_like(kept) for kept in self.masks.kept])

    def update(self, step: int, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"schedule({step}) gave the sparsity {value}: must be in [0, 1).")
        self.masks.prune(value, self.score, self.scope)
