"""Training that is sparse from its beginning: weights are dropped and grown, their number stays the same."""

from typing import Any, Literal

import keras
import numpy as np

from keras_sparse_rnn.callbacks.gradient_record import GradientRecord
from keras_sparse_rnn.callbacks.mask_callback import MaskCallback
from keras_sparse_rnn.callbacks.optimizer_state import moving_averages, slots, updates
from keras_sparse_rnn.schedules import ConstantSparsity
from keras_sparse_rnn.sparsity import (
    DROPS,
    GROWS,
    INITS,
    REDISTRIBUTIONS,
    SCORES,
    drop_score,
    kernel_densities,
    lowest,
    renew,
)
from keras_sparse_rnn.sparsity.masks import beside
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score, is_integer, is_number

# What a new weight starts at: nothing, in effect, and yet not the exact zero by which masked weights are known in the
# weights alone, in a file and in the optimizer. An optimizer's first step leaves it behind.
NEW_WEIGHT = 1e-30


class DynamicSparseTraining(MaskCallback):
    """Trains a model with a fixed number of weights, whose places change while it trains.

    A share `density` of the weights, in places drawn at random, is there from the beginning. Now and then a fraction
    of them, those worth least, is dropped and as many grow in other places. The number of weights is, after each
    update, exactly what it was before, in each kernel, where Selfish-RNN's code draws its growth with the right number
    on average. The presets `SET`, `SelfishRNN` and `RigL` are arguments of this class.

    A weight that is dropped and grown again in the same update keeps its value (RigL, Selfish-RNN). The others start
    at zero: at 1e-30, so that an exact zero always is a masked weight and training that goes on later, from a file or
    a checkpoint, finds its masks in the weights. What the optimizer holds for a new weight (momentum, moments, average)
    is set to zero.

    Args:
        density: Share of the weights of all selected kernels together that exist, in (0, 1].
        drop_fraction: Share of a kernel's weights to drop and grow at an update: a number in [0, 1), or a schedule
            such as `schedules.CosineDecay`, any function step -> (due, share).
        frequency: Optimizer steps between two updates, if `drop_fraction` is a number; None for 100. The first update
            is after as many steps. A schedule has its own.
        drop: `"magnitude"`: the smallest |w|. `"signed"`: half of them the smallest positive, half the largest
            negative weights (SET).
        grow: `"random"`: in free places drawn at random. `"gradient"`: where the gradient of the last minibatch, at
            the weights before its update, is largest (RigL). This records gradients in each step, and compiles the
            train function once more.
        redistribute: What happens between the gates in a kernel. `"gates"`: weights are ranked over all gates
            together, which exchange them (cell-gate redistribution of Selfish-RNN). `"equal"`: dropped in this way,
            grown in equal shares for each gate. `"none"`: each gate keeps as many weights as it has.
        init: Density of each kernel: `"uniform"`: the same for all. `"er"`, `"erk"`: Erdos-Renyi, larger kernels
            sparser; see `sparsity.kernel_densities`.
        block_shape: Pair (rows, cols): whole blocks are dropped and grown, by their scores. A block never crosses a
            gate.
        layers: None for the kernels and recurrent kernels of all recurrent layers; otherwise see
            `sparsity.find_kernels`.
        score: Worth of a block by its weights, or by its gradients: `"l1"`, `"l2"` or `"max"`.
        seed: Integer >= 0. The same seed draws the same places at the same steps, also in a run that was interrupted.
        count_from: `"fit"`, or `"optimizer"` to count steps as `optimizer.iterations` does; see `MagnitudePruning`.

    Attributes:
        masks: The masks, a `sparsity.Masks`, from the beginning of `fit`.
        skipped: Dict, from the beginning of `fit`: for each layer or weight that is not masked, why.

    The logs carry `sparsity` at the end of each epoch. Put it first in the list of callbacks. A model that has zeros
    already, from a file or another method, goes on with these.

    Raises:
        ValueError: If an argument is outside what is allowed; in `fit`, if the model is not compiled, has nothing to
            mask, a layer is not found, a block is larger than a gate, another callback masks the same kernel, the
            model has been trained dense, or is sparse already to another density.

    Example:

    >>> schedule = ksr.schedules.CosineDecay(0.5, 0.005, begin_step=0, end_step=5000, frequency=100)
    >>> training = ksr.callbacks.DynamicSparseTraining(density=0.1, drop_fraction=schedule)
    >>> model.fit(x, y, callbacks=[training])
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.3,
        frequency: int | None = None,
        drop: Literal["magnitude", "signed"] = "magnitude",
        grow: Literal["random", "gradient"] = "random",
        redistribute: Literal["gates", "equal", "none"] = "gates",
        init: Literal["uniform", "er", "erk"] = "uniform",
        block_shape: BlockShape = (1, 1),
        layers: LayerSelection = None,
        score: Score = "l1",
        seed: int = 0,
        count_from: Literal["fit", "optimizer"] = "fit",
    ) -> None:
        super().__init__(_schedule(drop_fraction, frequency), block_shape, layers, count_from)
        if not (is_number(density) and 0 < density <= 1):
            raise ValueError(f"density={density!r}: must be a number in (0, 1].")
        for name, value, allowed in (
            ("drop", drop, DROPS),
            ("grow", grow, GROWS),
            ("redistribute", redistribute, REDISTRIBUTIONS),
            ("init", init, INITS),
            ("score", score, SCORES),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r}: must be one of {allowed}.")
        if not (is_integer(seed) and seed >= 0):
            raise ValueError(f"seed={seed!r}: must be an integer >= 0.")
        self.density = density
        self.drop = drop
        self.grow = grow
        self.redistribute = redistribute
        self.init = init
        self.score = score
        self.seed = seed
        self.gradients: Any = None  # of Pruner, where it drives this method

    def start(self, step: int) -> None:
        masks = self.masks
        masks.recover_pruned()
        if all(kept.all() for kept in masks.kept):
            self._draw(step)
        largest_blocks = sum(blocks.sizes.max() for blocks in masks.blocks) / masks.size
        if abs(1 - masks.sparsity - self.density) > 0.01 + largest_blocks:
            raise ValueError(
                f"density={self.density:.4g}, but the model is sparse already, and the density of its blocks of shape "
                f"{self.block_shape} is {1 - masks.sparsity:.4g}. To go on with these weights, give density="
                f"{1 - masks.sparsity:.4g}; to start anew, build the model anew."
            )
        if self.grow == "gradient" and self.gradients is None:
            self.gradients = GradientRecord(self.model, [kernel.variable for kernel in masks.kernels])
            self.gradients.attach()

    def update(self, step: int, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"schedule({step}) gave the drop fraction {value}: must be in [0, 1).")
        # First what the last step moved is masked: a weight that grows starts anew, not from that step.
        self.apply()
        masks = self.masks
        promises = self._promises()
        renewed = []
        for i, (blocks, kept, values) in enumerate(zip(masks.blocks, masks.kept, masks.values(), strict=True)):
            worth = drop_score(blocks, values, kept, self.drop, self.score)
            rng = np.random.default_rng([self.seed, step, i])
            renewed.append(renew(kept, worth, promises[i], blocks.sizes, value, self.redistribute, rng))
        self._keep(renewed)

    def asked(self) -> float:
        return 1 - self.density

    @property
    def complete(self) -> bool:
        """True: the model is as sparse as it will be from the beginning."""
        return True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        if isinstance(self.gradients, GradientRecord):
            self.gradients.detach()
            self.gradients = None

    def _draw(self, step):
        """Draws the first masks at random."""
        trained = max(step, updates(self.optimizer))
        if trained and self.density < 1:
            raise ValueError(
                f"The optimizer is at step {trained}, but no block of shape {self.block_shape} is masked. If this is a "
                "checkpoint of a sparse model, it was written before the weights were masked: list "
                f"{type(self).__name__} before BackupAndRestore or ModelCheckpoint. If the model was trained dense so "
                "far, compile it anew, or use MagnitudePruning, which chooses the weights to keep."
            )
        masks = self.masks
        # The rule with the dimensions of a convolution is erk's; er's counts inputs and outputs.
        shapes = [kernel.variable.shape if self.init == "erk" else kernel.shape for kernel in masks.kernels]
        densities = kernel_densities(shapes, self.density, self.init)
        drawn = []
        for i, (blocks, density) in enumerate(zip(masks.blocks, densities, strict=True)):
            chance = np.random.default_rng([self.seed, 0, i]).random(blocks.grid)
            drawn.append(~lowest(chance, blocks.sizes, 1 - density))
        # Kernels that are initialized to zeros have no weights yet.
        self._keep(drawn)

    def _promises(self):
        if self.grow == "random":
            return [np.zeros(kept.shape) for kept in self.masks.kept]
        masks = self.masks
        found = zip(masks.kernels, masks.blocks, self.gradients.values(), strict=True)
        return [blocks.score(kernel.matrix(gradient), self.score) for kernel, blocks, gradient in found]

    def _keep(self, kept):
        """Sets the masks; weights that are new to them start at nothing, with nothing in the optimizer."""
        masks, optimizer = self.masks, self.optimizer
        averages = moving_averages(optimizer)
        for i, (kernel, old, new) in enumerate(zip(masks.kernels, masks.kept, kept, strict=True)):
            grown = new & ~old
            if grown.any():
                where = beside(kernel.variable, masks.expand(i, grown))
                _set(kernel.variable, where, NEW_WEIGHT)
                for slot in slots(optimizer, kernel.variable):
                    # A moving average becomes the weight when fit ends: there, too, zero would mean masked.
                    _set(slot, where, NEW_WEIGHT if slot is averages.get(id(kernel.variable)) else 0)
        masks.keep(kept)


class SET(DynamicSparseTraining):
    """Sparse evolutionary training (Mocanu et al. 2018, arXiv:1707.04780).

    `DynamicSparseTraining` that drops the smallest positive and the largest negative weights and grows at random, each
    gate for itself, from an Erdos-Renyi density; in the paper 0.3 of the weights at the end of each epoch. All
    arguments, and errors, are those of `DynamicSparseTraining`.
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.3,
        frequency: int | None = None,
        **arguments: Any,
    ) -> None:
        method = {"drop": "signed", "grow": "random", "redistribute": "none", "init": "er"}
        super().__init__(density, drop_fraction, frequency, **{**method, **arguments})


class SelfishRNN(DynamicSparseTraining):
    """Selfish sparse RNN training (Liu et al. 2021, arXiv:2101.09048).

    `DynamicSparseTraining` that drops by magnitude over all gates of a kernel together and grows at random in any of
    them, so that important gates come to more weights, from a uniform density. The paper updates at the end of each
    epoch, has a `schedules.CosineDecay` from 0.5 (stacked LSTMs 0.8) to 0.005 over all of training, and trains with
    `optimizers.SNTASGD`. Arguments and errors are those of `DynamicSparseTraining`.
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.5,
        frequency: int | None = None,
        **arguments: Any,
    ) -> None:
        method = {"drop": "magnitude", "grow": "random", "redistribute": "gates", "init": "uniform"}
        super().__init__(density, drop_fraction, frequency, **{**method, **arguments})


class RigL(DynamicSparseTraining):
    """The rigged lottery (Evci et al. 2020, arXiv:1911.11134).

    `DynamicSparseTraining` that drops by magnitude and grows where the dense gradient is largest, each gate for itself,
    from an Erdos-Renyi density. The paper updates every 100 steps, with a `schedules.CosineDecay` from 0.3 to 0 that
    ends at 3/4 of training. There an update takes the place of an optimizer step; here it comes after one, with that
    step's gradient. Arguments and errors are those of `DynamicSparseTraining`.
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.3,
        frequency: int | None = None,
        **arguments: Any,
    ) -> None:
        method = {"drop": "magnitude", "grow": "gradient", "redistribute": "none", "init": "erk"}
        super().__init__(density, drop_fraction, frequency, **{**method, **arguments})


def _schedule(drop_fraction, frequency):
    if callable(drop_fraction):
        if frequency is not None:
            raise ValueError(
                f"frequency={frequency!r}: the schedule given as drop_fraction has its own; leave frequency out."
            )
        return drop_fraction
    if not (is_number(drop_fraction) and 0 <= drop_fraction < 1):
        raise ValueError(
            f"drop_fraction={drop_fraction!r}: must be a number in [0, 1), or a schedule such as "
            "schedules.CosineDecay(0.5, 0.005, begin_step=0, end_step=1000)."
        )
    return ConstantSparsity(drop_fraction, begin_step=0, frequency=100 if frequency is None else frequency)


def _set(variable, where, value):
    """Sets the weights at `where`, a bool tensor, to `value`, on the device, in a variable or a tensor of torch."""
    present = keras.ops.convert_to_tensor(variable)
    changed = keras.ops.where(where, keras.ops.full_like(present, value), present)
    if isinstance(variable, keras.Variable):
        variable.assign(changed)
    else:
        variable.copy_(changed)
