"""Sparse-to-sparse training: weights are dropped and grown, and their number stays constant."""

from collections.abc import Mapping
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
    Kernel,
    Masks,
    drop_score,
    kernel_densities,
    renew,
)
from keras_sparse_rnn.sparsity.masks import beside
from keras_sparse_rnn.sparsity.structure import NEAR, structure_of
from keras_sparse_rnn.typing import BlockShape, LayerSelection, ScheduleFunction, Score, is_integer, is_number

# The initial value of a new weight. It is zero in effect, but not exactly zero: exact zeros mark masked weights, in the
# model, in files and in the optimizer. The first optimizer step replaces it.
NEW_WEIGHT = 1e-30


class DynamicSparseTraining(MaskCallback):
    """Trains a model with a fixed number of weights whose positions change during training.

    Initially, a fraction `density` of the weights exists, in random positions. At each update, a fraction of them, the
    least important, is dropped, and as many grow in other positions. Each update leaves the number of weights in each
    kernel exactly the same. (The code of Selfish-RNN does so on average only.) The presets `SET`, `SelfishRNN` and
    `RigL` are this class with other default arguments.

    A weight that is dropped and regrown in the same update keeps its value (RigL, Selfish-RNN). Other new weights start
    at 1e-30, which is zero in effect. Exact zeros thus always mark masked weights, and training that resumes from a
    file or a checkpoint finds its masks in the weights. The optimizer's slots of a new weight (momentum, moments,
    average) are set to zero.

    Args:
        density: Fraction of the weights of all selected kernels together that exist, in (0, 1].
        drop_fraction: Fraction of a kernel's weights to drop and grow at an update: a number in [0, 1), or a schedule
            such as `schedules.CosineDecay`, or any function step -> (due, fraction).
        frequency: Number of optimizer steps between two updates, and before the first, if `drop_fraction` is a number.
            None for 100. Must be None if `drop_fraction` is a schedule.
        drop: `"magnitude"` drops the weights with the smallest |w|. `"signed"` drops the smallest positive weights for
            one half, and the largest negative weights for the other (SET).
        grow: `"random"` grows weights in random free positions. `"gradient"` grows them where the gradient of the last
            minibatch, at the weights before its update, is largest (RigL). This records gradients in each step, and
            compiles the train function once more.
        redistribute: How weights move between the gates of a kernel. `"gates"`: weights are ranked over all gates
            together, so that gates exchange them (cell-gate redistribution of Selfish-RNN). `"equal"`: they are dropped
            in the same way, and grown in equal numbers for each gate. `"none"`: each gate keeps its number of weights.
            None is `"none"` with `pattern` or `gate_density`, which allow no other value, and else `"gates"`.
        init: Initial density of each kernel. `"uniform"`: the same for all. `"er"`, `"erk"`: Erdos-Renyi, which makes
            larger kernels sparser; see `sparsity.kernel_densities`. None is `"uniform"`, the only value that `pattern`
            and `gate_density` allow.
        block_shape: Pair (rows, cols): whole blocks are dropped and grown, by their scores. A block never crosses a
            gate.
        layers: The layers to mask. None selects the kernels and recurrent kernels of all recurrent layers; for other
            values see `sparsity.find_kernels`.
        score: Score of a block, computed from its weights or its gradients: `"l1"`, `"l2"` or `"max"`.
        seed: Integer >= 0. The same seed draws the same positions at the same steps, also in a resumed run.
        count_from: `"fit"`, or `"optimizer"` to count steps as `optimizer.iterations` does; see `MagnitudePruning`.
        pattern: Pair (zeros, of), such as (2, 4): each group of `of` consecutive weights along the inputs of an output
            always has exactly `zeros` zeros. Weights are dropped and grown within their group. `density` must be
            1 - zeros / of, here 0.5.
        gate_density: Maps the name of each gate to the fraction of its weights that exist, in (0, 1], as for
            `MagnitudePruning`. Weights are dropped and grown within their gate. `density` must be the mean of these.
        keep_diagonal: Whether to keep the diagonals of recurrent kernels: they are never dropped, even in blocks that
            are. Diagonal weights count as weights, but not in the score of a block.

    Attributes:
        masks: The masks, a `sparsity.Masks`. Available once `fit` has started.
        skipped: Dict that maps each layer or weight that is not masked to the reason. Available once `fit` has started.

    The logs contain `sparsity` at the end of each epoch. Put this callback first in the list. If the model already has
    zeros, from a file or another method, training continues with these.

    Raises:
        ValueError: If an argument is out of range. In `fit`, if the model is not compiled or has nothing to mask, a
            layer is not found, a block is larger than a gate, another callback masks the same kernel, `pattern` does
            not divide a kernel, the names in `gate_density` are not those of a cell's gates, no kernel has a diagonal,
            or the model has been trained dense or is already sparse with another density or in other places.

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
        redistribute: Literal["gates", "equal", "none"] | None = None,
        init: Literal["uniform", "er", "erk"] | None = None,
        block_shape: BlockShape = (1, 1),
        layers: LayerSelection = None,
        score: Score = "l1",
        seed: int = 0,
        count_from: Literal["fit", "optimizer"] = "fit",
        *,
        pattern: tuple[int, int] | None = None,
        gate_density: Mapping[str, float] | None = None,
        keep_diagonal: bool = False,
    ) -> None:
        super().__init__(_schedule(drop_fraction, frequency), block_shape, layers, count_from)
        if not (is_number(density) and 0 < density <= 1):
            raise ValueError(f"density={density!r}: must be a number in (0, 1].")
        for name, value, allowed in (
            ("drop", drop, DROPS),
            ("grow", grow, GROWS),
            ("redistribute", "none" if redistribute is None else redistribute, REDISTRIBUTIONS),
            ("init", "uniform" if init is None else init, INITS),
            ("score", score, SCORES),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r}: must be one of {allowed}.")
        if not (is_integer(seed) and seed >= 0):
            raise ValueError(f"seed={seed!r}: must be an integer >= 0.")
        structure = structure_of(pattern, gate_density, keep_diagonal, self.block_shape)
        self.pattern = pattern
        self.gate_density = gate_density
        self.keep_diagonal = keep_diagonal
        if structure is not None and abs(1 - structure.sparsity - density) > NEAR:
            raise ValueError(
                f"{self._structure} is a density of {1 - structure.sparsity:.4g}, but density={density:.4g} was given: "
                f"give density={1 - structure.sparsity:.4g}."
            )
        if structure is not None and not (redistribute in (None, "none") and init in (None, "uniform")):
            raise ValueError(
                f"{self._structure}: each gate keeps its number of weights, so redistribute must be 'none' and init "
                f"'uniform', but redistribute={redistribute!r} and init={init!r} were given."
            )
        self.density = density
        self.drop = drop
        self.grow = grow
        self.redistribute = redistribute or ("none" if self._structure else "gates")
        self.init = init or "uniform"
        self.score = score
        self.seed = seed
        self.gradients: Any = None  # set by Pruner if it drives this method

    def masks_over(self, kernels: list[Kernel]) -> Masks:
        return Masks(kernels, self.block_shape, self.pattern, self.gate_density, self.keep_diagonal)

    def start(self, step: int) -> None:
        masks = self.masks
        masks.recover_pruned()
        if all(kept.all() for kept in masks.kept):
            self._draw(step)
        largest_blocks = sum(blocks.sizes.max() for blocks in masks.blocks) / masks.size
        if abs(1 - masks.sparsity - self.density) > 0.01 + largest_blocks:
            raise ValueError(
                f"density={self.density:.4g}, but the model is sparse already, and the density of its blocks of shape "
                f"{self.block_shape} is {1 - masks.sparsity:.4g}. To continue with these weights, give density="
                f"{1 - masks.sparsity:.4g}; to start again, rebuild the model."
            )
        if self._structure and not masks.fits_structure(complete=True):
            raise ValueError(
                f"{self._structure}: the model is sparse already, in other places than these. To start again, rebuild "
                "the model."
            )
        if self.grow == "gradient" and self.gradients is None:
            self.gradients = GradientRecord(self.model, [kernel.variable for kernel in masks.kernels])
            self.gradients.attach()

    def update(self, step: int, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"schedule({step}) gave the drop fraction {value}: must be in [0, 1).")
        # First mask what the last step moved, so that a growing weight does not start from that step's update.
        self.apply()
        masks = self.masks
        promises = self._promises()
        renewed = []
        group = None if masks.pattern is None else masks.pattern.of
        for i, (blocks, kept, values) in enumerate(zip(masks.blocks, masks.kept, masks.values(), strict=True)):
            worth = drop_score(blocks, values, kept & (masks.maskable[i] > 0), self.drop, self.score)
            rng = np.random.default_rng([self.seed, step, i])
            renewed.append(renew(kept, worth, promises[i], masks.maskable[i], value, self.redistribute, rng, group))
        self._keep(renewed)

    def asked(self) -> float:
        return 1 - self.density

    @property
    def complete(self) -> bool:
        """Always True: the model has its final sparsity from the start."""
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
        # erk uses the dimensions of a convolution, er the numbers of inputs and outputs.
        shapes = [kernel.variable.shape if self.init == "erk" else kernel.shape for kernel in masks.kernels]
        densities = kernel_densities(shapes, self.density, self.init)
        chances = [np.random.default_rng([self.seed, 0, i]).random(b.grid) for i, b in enumerate(masks.blocks)]
        # Kernels that are initialized to zeros have no weights yet.
        self._keep(masks.choose(chances, [1 - density for density in densities]))

    def _promises(self):
        if self.grow == "random":
            return [np.zeros(kept.shape) for kept in self.masks.kept]
        masks = self.masks
        gradients = [k.matrix(gradient) for k, gradient in zip(masks.kernels, self.gradients.values(), strict=True)]
        off_diagonal = [masks.off_diagonal(i, gradient) for i, gradient in enumerate(gradients)]
        return [blocks.score(g, self.score) for blocks, g in zip(masks.blocks, off_diagonal, strict=True)]

    def _keep(self, kept):
        """Sets the masks. Newly kept weights start at NEW_WEIGHT, and their optimizer slots at zero."""
        masks, optimizer = self.masks, self.optimizer
        averages = moving_averages(optimizer)
        for i, (kernel, old, new) in enumerate(zip(masks.kernels, masks.kept, kept, strict=True)):
            grown = new & ~old
            if grown.any():
                weights = masks.off_diagonal(i, masks.blocks[i].expand(grown))
                where = beside(kernel.variable, kernel.tensor(weights))
                _set(kernel.variable, where, NEW_WEIGHT)
                for slot in slots(optimizer, kernel.variable):
                    # A moving average becomes the weight when fit ends, where zero would also mean masked.
                    _set(slot, where, NEW_WEIGHT if slot is averages.get(id(kernel.variable)) else 0)
        masks.keep(kept)

    @property
    def _structure(self):
        """`pattern` or `gate_density` as it was given, for messages; None without either."""
        if self.pattern is not None:
            return f"pattern={self.pattern}"
        return None if self.gate_density is None else f"gate_density={dict(self.gate_density)}"


class SET(DynamicSparseTraining):
    """Sparse evolutionary training (Mocanu et al. 2018, arXiv:1707.04780).

    `DynamicSparseTraining` with `drop="signed"`, `grow="random"`, `redistribute="none"` and `init="er"`: it drops the
    smallest positive and the largest negative weights and grows at random, separately in each gate, from an Erdos-Renyi
    density. The paper replaces 0.3 of the weights at the end of each epoch. Arguments and errors are those of
    `DynamicSparseTraining`.
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.3,
        frequency: int | None = None,
        **arguments: Any,
    ) -> None:
        method = _preset(arguments, drop="signed", grow="random", redistribute="none", init="er")
        super().__init__(density, drop_fraction, frequency, **method)


class SelfishRNN(DynamicSparseTraining):
    """Selfish sparse RNN training (Liu et al. 2021, arXiv:2101.09048).

    `DynamicSparseTraining` with `drop="magnitude"`, `grow="random"`, `redistribute="gates"` and `init="uniform"`: it
    drops by magnitude over all gates of a kernel together and grows at random in any of them, so that important gates
    gain weights. The paper updates at the end of each epoch, with a `schedules.CosineDecay` from 0.5 (0.8 for stacked
    LSTMs) to 0.005 over the whole training, and trains with `optimizers.SNTASGD`. Arguments and errors are those of
    `DynamicSparseTraining`.
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.5,
        frequency: int | None = None,
        **arguments: Any,
    ) -> None:
        method = _preset(arguments, drop="magnitude", grow="random", redistribute="gates", init="uniform")
        super().__init__(density, drop_fraction, frequency, **method)


class RigL(DynamicSparseTraining):
    """The rigged lottery (Evci et al. 2020, arXiv:1911.11134).

    `DynamicSparseTraining` with `drop="magnitude"`, `grow="gradient"`, `redistribute="none"` and `init="erk"`: it drops
    by magnitude and grows where the dense gradient is largest, separately in each gate, from an Erdos-Renyi density.
    The paper updates every 100 steps, with a `schedules.CosineDecay` from 0.3 to 0 that ends at 3/4 of the training. In
    the paper an update replaces an optimizer step; here it follows one, and uses that step's gradient.

    Arguments and errors are those of `DynamicSparseTraining`.
    """

    def __init__(
        self,
        density: float,
        drop_fraction: float | ScheduleFunction = 0.3,
        frequency: int | None = None,
        **arguments: Any,
    ) -> None:
        method = _preset(arguments, drop="magnitude", grow="gradient", redistribute="none", init="erk")
        super().__init__(density, drop_fraction, frequency, **method)


def _preset(arguments, drop, grow, redistribute, init):
    """Returns the arguments of a preset. A structure of the masks decides about `redistribute` and `init` itself."""
    method = {"drop": drop, "grow": grow}
    if arguments.get("pattern") is None and arguments.get("gate_density") is None:
        method |= {"redistribute": redistribute, "init": init}
    return {**method, **arguments}


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
    """Sets a Keras variable or a torch tensor to `value`, on the device, where the bool tensor `where` is True."""
    present = keras.ops.convert_to_tensor(variable)
    changed = keras.ops.where(where, keras.ops.full_like(present, value), present)
    if isinstance(variable, keras.Variable):
        variable.assign(changed)
    else:
        variable.copy_(changed)
