"""Regularizers for sparse activity and sparse weights."""

from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.sparsity import Wiring, find_kernels
from keras_sparse_rnn.sparsity.blocks import Blocks, check_block_shape
from keras_sparse_rnn.typing import BlockShape, LayerSelection, Tensor, check_flag, is_integer, is_number


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class EventPenalty(keras.regularizers.Regularizer):
    """Penalty on the events of a layer, which makes its units fire less often.

        on="state":                strength * mean(relu(c~))
        on="rate":                 strength * mean(e)
        on="rate" with a target:   strength * (mean(e) - target)^2

    c~ is the state before the threshold and before the reset, and e the event (0 or 1), differentiated by the layer's
    surrogate gradient. The means are taken over all units and all valid (unmasked) positions of the batch, so that
    neither the batch size nor padding changes the scale. Pass it to the layer, which computes c~ and e:

    >>> layer = EventGRU(128, activity_regularizer=EventPenalty(2.0))

    In `DeltaHold` and `DeltaGRU`, e is 1 if a value is sent, and c~ is the magnitude of its change since the last one
    that was sent.

    The rate with a target is the activity loss of Subramoney et al., ICLR 2023, arXiv:2206.06178.

    Args:
        strength: Factor of the penalty, which is added to the loss, >= 0. With on="state", 2 is a good start.
        on: "state" or "rate".
        target: Target event rate, in [0, 1]; only with on="rate". None stands for 0, without the square.

    Raises:
        ValueError: If an argument is outside its range, `target` is given with on="state", or the penalty is called on
            a tensor, as it is by a layer without events.
    """

    def __init__(
        self, strength: float = 2.0, on: Literal["state", "rate"] = "state", target: float | None = None
    ) -> None:
        if not (is_number(strength) and strength >= 0):
            raise ValueError(f"`strength` must be a number >= 0. Received: strength={strength!r}")
        if on not in ("state", "rate"):
            raise ValueError(f"`on` must be 'state' or 'rate'. Received: on={on!r}")
        if target is not None and on != "rate":
            raise ValueError(f"`target` needs on='rate'. Received: target={target} with on={on!r}")
        if target is not None and not (is_number(target) and 0 <= target <= 1):
            raise ValueError(f"`target` must be an event rate in [0, 1]. Received: target={target!r}")
        self.strength = strength
        self.on = on
        self.target = target

    def penalty(self, state: Tensor, events: Tensor, mask: Tensor | None = None) -> Tensor:
        """Computes the penalty of one batch of sequences.

        Args:
            state: Tensor (..., units): c~, the state before the threshold.
            events: Tensor (..., units): 1 where the unit fired, else 0, with its surrogate gradient.
            mask: Boolean tensor (..., 1), True where the position is valid; None if all are.

        Returns:
            A float32 scalar, 0 if no position is valid.
        """
        if self.on == "state":
            return self.strength * _mean(ops.relu(state), mask)
        rate = _mean(events, mask)
        if self.target is None:
            return self.strength * rate
        return self.strength * ops.square(rate - self.target)

    def __call__(self, x: Tensor) -> Tensor:
        raise ValueError(
            "`EventPenalty` needs the state before the threshold, which a layer's output does not show. "
            "Pass it to a layer that has events, EventGRU, DeltaGRU or DeltaHold: activity_regularizer=EventPenalty()."
        )

    def get_config(self) -> dict[str, Any]:
        return {"strength": self.strength, "on": self.on, "target": self.target}


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class BlockGroupLasso(keras.regularizers.Regularizer):
    """Group lasso on the blocks of a kernel (Narang et al. 2017, arXiv:1711.02782).

        strength * sum over blocks of sqrt(sum of w^2 in the block)

    The L2 norm of each block, without a factor for its size. The gradient at a block of zeros is zero. The penalty
    makes blocks small, but not zero: combined with `callbacks.ThresholdPruning` of the same blocks it is the paper's
    GLP, which prunes them and switches the lasso off when pruning ends.

    Args:
        strength: Factor of the penalty, which is added to the loss, >= 0. The paper gives no value; try 1e-5 to 1e-3 if
            the loss is a mean.
        block_shape: Pair (rows, cols) of the blocks that tile a kernel (inputs, gates * units). Ragged edges count
            their real weights only. A kernel of more dimensions is seen as (all others, last axis), which fits
            Conv1D, Conv2D, Conv3D and ConvLSTM.
        gates: Number of gates side by side in the kernel's columns, which no block crosses: 3 for GRU and EventGRU,
            4 for LSTM, 1 for SimpleRNN, Dense and Embedding. A regularizer sees the matrix only and cannot infer it.
        active: Whether the penalty is applied; if False, it is 0. It is saved with the model. A compiled model does not
            see a change: call `model.make_train_function(force=True)` afterwards.

    Raises:
        ValueError: If an argument is outside its range; when called, if the kernel has fewer than 2 dimensions, its
            columns are not a multiple of `gates`, or a block is larger than a gate.

    Example:

    >>> lasso = BlockGroupLasso(1e-4, block_shape=(4, 4), gates=3)
    >>> layer = keras.layers.GRU(128, kernel_regularizer=lasso, recurrent_regularizer=lasso)
    """

    def __init__(self, strength: float, block_shape: BlockShape = (4, 4), gates: int = 1, active: bool = True) -> None:
        if not (is_number(strength) and strength >= 0):
            raise ValueError(f"`strength` must be a number >= 0. Received: strength={strength!r}")
        if not (is_integer(gates) and gates >= 1):
            raise ValueError(f"`gates` must be an integer >= 1. Received: gates={gates!r}")
        self.strength = float(strength)
        self.block_shape = check_block_shape(block_shape)
        self.gates = int(gates)
        self.active = check_flag("active", active)

    def __call__(self, x: Tensor) -> Tensor:
        if len(x.shape) < 2:
            raise ValueError(
                f"`BlockGroupLasso` needs a kernel of at least 2 dimensions. Received: shape={tuple(x.shape)}"
            )
        x = ops.reshape(x, (-1, x.shape[-1]))
        rows, cols = self.block_shape
        tall, gates, wide = Blocks(x.shape, self.gates, self.block_shape).grid
        # In float32 at least: squares of small weights are zero in float16.
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        if not self.active:
            return ops.zeros((), x.dtype)
        squares = ops.reshape(ops.square(x), (x.shape[0], gates, x.shape[1] // gates))
        ragged = [(0, tall * rows - squares.shape[0]), (0, 0), (0, wide * cols - squares.shape[2])]
        tiles = ops.reshape(ops.pad(squares, ragged), (tall, rows, gates, wide, cols))
        return self.strength * ops.sum(_norms(ops.sum(tiles, axis=(1, 4))))

    def get_config(self) -> dict[str, Any]:
        return {
            "strength": self.strength,
            "block_shape": self.block_shape,
            "gates": self.gates,
            "active": self.active,
        }


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class UnitGroupLasso(keras.regularizers.Regularizer):
    """Group lasso on hidden units, which leads to a smaller network (ISS; Wen et al. 2018, arXiv:1709.05027).

        strength * sum over units k of sqrt(sum of w^2 over all weights of unit k)

    The weights of a unit are its column of each gate in the kernel and in the recurrent kernel, its row of the
    recurrent kernel, and its row in the kernel of each layer that reads it: the next layer, a Dense, both directions of
    a Bidirectional. Biases do not count; w_kk of a recurrent kernel counts twice, in row and column, as in the authors'
    code. Units that an Add or a Bidirectional with merge mode "sum" adds up form one group. The gradient at a unit of
    zeros is zero.

    The regularizer of a single weight does not see the others, so this one is added to a built model:

    >>> ksr.regularizers.UnitGroupLasso(1e-3).add_to(model)

    It makes units small, but not zero. The paper sets weights below 1e-4 to zero after each step; in `fit` this is

    >>> zeroing = ksr.callbacks.ThresholdPruning(lambda step: (True, 1e-4), layers=lambda layer: True)

    Adam, whose steps do not shrink with the gradient, needs a threshold above its learning rate. Afterwards
    `ksr.shrink(model)` removes the dead units.

    Args:
        strength: Factor of the penalty, which is added to the loss, >= 0. The paper uses 0.003 for a loss that is a sum
            over 35 steps; for a mean, try 1e-4 to 1e-3.

    Raises:
        ValueError: If `strength` is outside its range, or the regularizer is passed to a layer.
    """

    def __init__(self, strength: float) -> None:
        if not (is_number(strength) and strength >= 0):
            raise ValueError(f"`strength` must be a number >= 0. Received: strength={strength!r}")
        self.strength = float(strength)

    def add_to(self, model: keras.Model, layers: LayerSelection = None) -> None:
        """Adds the penalty to the losses of a model, replacing one that was added before.

        It is applied in `fit` and `evaluate`, whether the model is compiled before or after. It belongs to the model
        object and is not saved: add it again after `load_model`.

        Args:
            model: Built Sequential or Functional model.
            layers: The layers whose units are penalized; None for all recurrent ones. See `sparsity.find_kernels`.

        Raises:
            ValueError: If the model is not built, is neither Sequential nor Functional, a layer is not found, or none
                has a unit that could be removed; see `sparsity.Wiring`.
        """
        wiring = Wiring(model)
        chosen = {id(kernel.layer) for kernel in find_kernels(model, layers)[0]}
        counted = {0}  # what must stay
        for key, (layer, channels) in wiring.units.items():
            roots = np.array(sorted({*wiring.roots(channels)} - counted), int)
            if key in chosen and roots.size:
                counted.update(roots)
                names = ("recurrent_kernel", "kernel", "pointwise_kernel", "embeddings")
                weight = next(getattr(layer, name) for name in names if hasattr(layer, name))
                weight.regularizer = _UnitNorms(self.strength, wiring.lines(roots), len(roots), weight.regularizer)
        if len(counted) == 1:
            raise ValueError(
                f"The model {model.name!r} has no hidden unit to take out: select others with `layers`. Not followed: "
                f"{wiring.skipped or 'nothing'}."
            )
        if model.compiled:
            # What is compiled keeps the losses that it was traced with.
            model.make_train_function(force=True)
            model.make_test_function(force=True)

    def __call__(self, x: Tensor) -> Tensor:
        raise ValueError(
            "`UnitGroupLasso` needs the weights of all layers that read a unit, not one: build the model without it, "
            "then call UnitGroupLasso(...).add_to(model)."
        )

    def get_config(self) -> dict[str, Any]:
        return {"strength": self.strength}


class _UnitNorms:
    """As the regularizer of one weight: the norms of units, whose `lines` are in many; and what was there before."""

    def __init__(self, strength, lines, count, before):
        self.strength = strength
        self.lines = lines
        self.count = count
        self.before = before.before if isinstance(before, _UnitNorms) else before

    def __call__(self, x):
        sums = 0.0
        for variable, axis, units in self.lines:
            w = ops.cast(ops.convert_to_tensor(variable), "float32")  # squares of small weights are zero in float16
            squares = ops.sum(ops.square(w), axis=[other for other in range(len(w.shape)) if other != axis])
            sums += ops.segment_sum(squares, units, num_segments=self.count + 1)
        penalty = self.strength * ops.sum(_norms(sums[: self.count]))
        return penalty if self.before is None else penalty + self.before(x)


def _norms(sums):
    """Square roots of sums of squares, with gradient zero at zero."""
    # The inner `where` keeps the infinite slope of sqrt(0) away from the gradient, where 0 * inf would be NaN.
    alive = sums > 0
    return ops.where(alive, ops.sqrt(ops.where(alive, sums, ops.ones_like(sums))), ops.zeros_like(sums))


def _mean(x, mask):
    x = ops.cast(x, "float32")  # a sum over batch, time and units overflows float16
    if mask is None:
        return ops.mean(x)
    valid = ops.sum(ops.cast(mask, "float32")) * x.shape[-1]
    return ops.divide_no_nan(ops.sum(ops.where(mask, x, 0.0)), valid)
