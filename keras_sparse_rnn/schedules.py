"""Schedules: the sparsity, or the threshold, at each training step.

A schedule is called with the number of optimizer steps taken so far and returns `(due, value)`. `due` tells whether the
masks are updated at this step. `value` is the share of weights to set to zero or, for `RampThreshold`, the magnitude
below which weights are set to zero. The sparsity schedules have the names, arguments and values of those in
`tensorflow_model_optimization.sparsity.keras`. The schedule objects of that package work here too, and so does any
function of a step that returns such a pair.

A schedule is defined in optimizer steps, in fractions of the fit, or in epochs. A callback converts fractions and
epochs to steps once `fit` knows its length.
"""

import abc
import math
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from keras_sparse_rnn.sparsity import find_kernels
from keras_sparse_rnn.typing import LayerSelection, is_number

if TYPE_CHECKING:
    from typing_extensions import Self


UNITS = ("fit", "epochs")


class Schedule(abc.ABC):
    """Base class of the schedules: acts every `frequency` steps from its beginning to its end, both included.

    Beginning and end are given in optimizer steps (`begin_step`, `end_step`), or in fractions of the fit or epochs
    (`begin`, `end`, `unit`). A callback converts the latter to steps once `fit` knows its length; in a custom training
    loop, `resolve` does.

    Subclasses implement `value(step)`, and add their arguments to `get_config`.

    Args:
        begin_step: Optimizer step from which the schedule acts, >= 0. Step 0 is before the first update.
        end_step: Last optimizer step at which it acts, >= begin_step; -1 for a schedule without an end. A callback acts
            at this step even if it is not a multiple of `frequency` after `begin_step`, so that the final value is
            reached. A schedule that ends where it begins acts once, with its final value.
        frequency: Number of steps between two actions, >= 1. None for 100; with `begin`, for a twentieth of the
            schedule if that is less.
        begin: Instead of `begin_step`, the beginning in `unit`, >= 0.
        end: Instead of `end_step`, the end in `unit`, >= begin; None for a schedule without an end.
        unit: `"fit"`: `begin` and `end` are fractions of all steps of the fit, in [0, 1]. `"epochs"`: they are numbers
            of epochs, which need not be integers.

    Raises:
        ValueError: If a step or the frequency is not an integer, a value is outside its range, or not exactly one of
            `begin_step` and `begin` is given.
    """

    def __init__(
        self,
        begin_step: int | None = None,
        end_step: int = -1,
        frequency: int | None = None,
        *,
        begin: float | None = None,
        end: float | None = None,
        unit: Literal["fit", "epochs"] = "fit",
    ) -> None:
        if (
            (begin_step is None) == (begin is None)
            or (begin_step is None and end_step != -1)
            or (begin is None and end)
        ):
            given = {"begin_step": begin_step, "end_step": end_step, "begin": begin, "end": end}
            raise ValueError(
                f"{', '.join(f'{name}={value!r}' for name, value in given.items())}: give begin_step and end_step, in "
                "optimizer steps, or begin and end, in shares of the fit or epochs."
            )
        if unit not in UNITS:
            raise ValueError(f"unit={unit!r}: must be one of {UNITS}.")
        self.begin: float | None = None
        self.end: float | None = None
        self.begin_step: Any = None  # of a schedule in shares or epochs known when it is resolved
        self.end_step: Any = None
        self.unit = unit
        self.frequency: Any = None if frequency is None else _integer("frequency", frequency, at_least=1)
        if begin is not None:
            self.begin = _time("begin", begin, unit)
            self.end = None if end is None else _time("end", end, unit)
            if end is not None and end < begin:
                raise ValueError(f"The schedule ends before it begins: begin={begin}, end={end}.")
            return
        self.begin_step = _integer("begin_step", begin_step, at_least=0)
        self.end_step = _integer("end_step", end_step, at_least=-1)
        self.frequency = self.frequency or 100  # as in tensorflow-model-optimization
        if self.end_step != -1 and self.end_step < self.begin_step:
            raise ValueError(
                f"The schedule ends before it begins: begin_step={begin_step}, end_step={end_step}. "
                "end_step must be -1 (no end) or >= begin_step."
            )

    def __call__(self, step: int) -> tuple[bool, float]:
        """Returns `(due, value)` for the optimizer step `step`, an int >= 0."""
        if self.begin is not None:
            raise ValueError(
                f"This {type(self).__name__} begins at begin={self.begin} in unit={self.unit!r}: outside of fit, take "
                "schedule.resolve(steps, epochs), which has it in optimizer steps."
            )
        in_range = self.begin_step <= step and (step <= self.end_step or self.end_step == -1)
        return in_range and (step - self.begin_step) % self.frequency == 0, self.value(step)

    def next_due(self, step: int) -> float:
        """Returns the first step after `step` at which a callback acts, or infinity; `end_step` is such a step."""
        if type(self).__call__ is not Schedule.__call__:  # of a subclass that acts at other steps
            return step + 1
        acted = max(0, step + 1 - self.begin_step + self.frequency - 1) // self.frequency
        due = self.begin_step + acted * self.frequency
        if self.end_step == -1:
            return due
        return min(due, self.end_step) if step < self.end_step else math.inf

    @abc.abstractmethod
    def value(self, step: int) -> float:
        """Returns the value at the optimizer step `step`, whether the schedule acts there or not."""

    def resolve(self, steps: int, epochs: float = 1) -> "Schedule":
        """Returns this schedule in optimizer steps.

        Args:
            steps: Number of optimizer steps of the whole training, >= 1.
            epochs: Number of epochs of the whole training, > 0, for a schedule in epochs.

        Returns:
            A schedule of the same class; this one if it is in optimizer steps already.

        Raises:
            ValueError: If `steps` is not an integer >= 1, or `epochs` is not a number > 0.

        Example:

        >>> PolynomialDecay(0.0, 0.9, begin=0.25, end=0.75).resolve(steps=1000)(750)
        (True, 0.9)
        """
        _integer("steps", steps, at_least=1)
        _positive("epochs", epochs)
        if self.begin is None:
            return self
        config = self.get_config()
        whole = epochs if config.pop("unit") == "epochs" else 1
        for name in ("begin", "ramp", "end"):
            if name in config:
                time = config.pop(name)
                config[f"{name}_step"] = -1 if time is None else round(time * steps / whole)
        if config["frequency"] is None:
            last = steps if self.end is None else config["end_step"]
            config["frequency"] = max(1, min(100, (last - config["begin_step"]) // 20))
        try:
            return type(self)(**config)
        except ValueError as error:
            raise ValueError(
                f"begin={self.begin} and end={self.end} in unit={self.unit!r} do not fit a training of {steps} steps: "
                f"{error} Train for more steps, or let the schedule end later."
            ) from error

    def get_config(self) -> dict[str, Any]:
        if self.begin is None:
            return {"begin_step": self.begin_step, "end_step": self.end_step, "frequency": self.frequency}
        return {"begin": self.begin, "end": self.end, "unit": self.unit, "frequency": self.frequency}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Self":
        return cls(**config)

    def _progress(self, step):
        """The part of the schedule that is behind it at a step, in [0, 1]; 1 from the end on."""
        if step >= self.end_step:
            return 1.0
        return max(0.0, step - self.begin_step) / max(1, self.end_step - self.begin_step)

    def _must_end(self):
        if self.end_step == -1:
            raise ValueError(f"end_step=-1: a {type(self).__name__} must end; end_step must be >= begin_step.")
        if self.begin is not None and self.end is None:
            raise ValueError(f"end=None: a {type(self).__name__} must end; end must be >= begin.")


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class ConstantSparsity(Schedule):
    """Constant sparsity.

    Args:
        target_sparsity: Share of weights to be zero, in [0, 1).
        begin_step, end_step, frequency, begin, end, unit: See `Schedule`. Without an end it acts until training ends.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> ConstantSparsity(0.8, begin_step=1000)(1100)
    (True, 0.8)
    """

    def __init__(
        self,
        target_sparsity: float,
        begin_step: int | None = None,
        end_step: int = -1,
        frequency: int | None = None,
        *,
        begin: float | None = None,
        end: float | None = None,
        unit: Literal["fit", "epochs"] = "fit",
    ) -> None:
        super().__init__(begin_step, end_step, frequency, begin=begin, end=end, unit=unit)
        self.target_sparsity = _share("target_sparsity", target_sparsity)

    def value(self, step: int) -> float:
        return self.target_sparsity

    def get_config(self) -> dict[str, Any]:
        return {"target_sparsity": self.target_sparsity, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class PolynomialDecay(Schedule):
    """Sparsity that rises quickly at first and then more and more slowly (Zhu & Gupta 2017, arXiv:1710.01878).

    With t = (step - begin_step) / (end_step - begin_step), clipped to [0, 1]:

        sparsity = final_sparsity + (initial_sparsity - final_sparsity) * (1 - t) ** power

    Args:
        initial_sparsity: Share of weights to be zero at the beginning, in [0, 1).
        final_sparsity: Share of weights to be zero at the end, in [0, 1).
        begin_step, end_step, frequency, begin, end, unit: See `Schedule`; it must have an end.
        power: Exponent, > 0; 3 in the paper.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> PolynomialDecay(0.0, 0.9, begin=0.25, end=0.75)  # from a quarter to three quarters of the fit
    >>> PolynomialDecay(0.0, 0.9, begin=2, end=8, unit="epochs")
    >>> PolynomialDecay(0.0, 0.9, begin_step=500, end_step=5000)
    """

    def __init__(
        self,
        initial_sparsity: float,
        final_sparsity: float,
        begin_step: int | None = None,
        end_step: int = -1,
        power: float = 3,
        frequency: int | None = None,
        *,
        begin: float | None = None,
        end: float | None = None,
        unit: Literal["fit", "epochs"] = "fit",
    ) -> None:
        super().__init__(begin_step, end_step, frequency, begin=begin, end=end, unit=unit)
        self._must_end()
        self.initial_sparsity = _share("initial_sparsity", initial_sparsity)
        self.final_sparsity = _share("final_sparsity", final_sparsity)
        self.power = _positive("power", power)

    def value(self, step: int) -> float:
        if step >= self.end_step:
            return self.final_sparsity
        left = (1 - self._progress(step)) ** self.power
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * left

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_sparsity": self.initial_sparsity,
            "final_sparsity": self.final_sparsity,
            "power": self.power,
            **super().get_config(),
        }


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class CosineDecay(Schedule):
    """Fraction of the weights that `DynamicSparseTraining` replaces, which decays along half a cosine.

    With t = (step - begin_step) / (end_step - begin_step), clipped to [0, 1]:

        fraction = final_fraction + (initial_fraction - final_fraction) * (1 + cos(pi * t)) / 2

    as in RigL (Evci et al. 2020, arXiv:1911.11134: from 0.3 to 0) and Selfish-RNN (Liu et al. 2021, arXiv:2101.09048,
    from 0.5, for stacked LSTMs 0.8, to 0.005 over all of training, at the end of each epoch).

    Args:
        initial_fraction: Fraction at the beginning, in [0, 1).
        final_fraction: Fraction at the end, in [0, 1).
        begin_step, end_step, frequency, begin, end, unit: See `Schedule`; it must have an end. RigL ends at 3/4 of
            training, so that the weights that were grown last are trained too.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> CosineDecay(0.5, 0.0, begin_step=0, end_step=1000)(500)
    (True, 0.25)
    """

    def __init__(
        self,
        initial_fraction: float,
        final_fraction: float,
        begin_step: int | None = None,
        end_step: int = -1,
        frequency: int | None = None,
        *,
        begin: float | None = None,
        end: float | None = None,
        unit: Literal["fit", "epochs"] = "fit",
    ) -> None:
        super().__init__(begin_step, end_step, frequency, begin=begin, end=end, unit=unit)
        self._must_end()
        self.initial_fraction = _share("initial_fraction", initial_fraction)
        self.final_fraction = _share("final_fraction", final_fraction)

    def value(self, step: int) -> float:
        fall = (1 + math.cos(math.pi * self._progress(step))) / 2
        return self.final_fraction + (self.initial_fraction - self.final_fraction) * fall

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_fraction": self.initial_fraction,
            "final_fraction": self.final_fraction,
            **super().get_config(),
        }


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class RampThreshold(Schedule):
    """Threshold on |w| that rises slowly, then faster (Narang et al. 2017, arXiv:1704.05119, Table 1, Algorithm 1).

        threshold = theta * (step - begin_step + 1) / frequency                                  step < ramp_step
        threshold = (theta * (ramp_step - begin_step + 1) + phi * (step - ramp_step + 1)) / frequency   otherwise

    It is 0 before `begin_step` and constant after `end_step`. The paper derives theta from q, the magnitude below which
    90 % of the weights of the same type of layer lie in a trained dense model:

        theta = 2 * q * frequency / (2 * (ramp_step - begin_step) + 3 * (end_step - ramp_step)),  phi = 1.5 * theta

    so that it ends at q. The resulting sparsity is not known beforehand; it is about 0.9 if the weights are distributed
    as in the dense model. In the paper the schedule begins with the second epoch, ramps from a quarter of all epochs
    and ends at half of them. Recurrent and dense layers each have a schedule, and a `ThresholdPruning`, of their own.

    This schedule also acts at `begin_step` and `end_step`; the paper prunes strictly between them.

    Args:
        begin_step, end_step, frequency, begin, end, unit: See `Schedule`; it must end, and later than it begins.
        ramp_step: Optimizer step from which the threshold rises by phi, in [begin_step, end_step].
        ramp: Instead of `ramp_step`, the same in `unit`, in [begin, end].
        q: Magnitude at which the threshold ends, > 0. `RampThreshold.from_model` measures it in a dense model.
        theta: Instead of `q`, the rise of the threshold per `frequency` steps before `ramp_step`, > 0.
        phi: Rise per `frequency` steps from `ramp_step` on, >= 0; None for 1.5 * theta. The papers use 1.2 to 2 theta.

    Raises:
        ValueError: If an argument is outside its range, or not exactly one of `q` and `theta` is given.

    Example:

    >>> RampThreshold(begin_step=100, ramp_step=300, end_step=500, q=0.1)(500)
    (True, 0.1005)
    """

    def __init__(
        self,
        begin_step: int | None = None,
        ramp_step: int | None = None,
        end_step: int = -1,
        q: float | None = None,
        theta: float | None = None,
        phi: float | None = None,
        frequency: int | None = None,
        *,
        begin: float | None = None,
        ramp: float | None = None,
        end: float | None = None,
        unit: Literal["fit", "epochs"] = "fit",
    ) -> None:
        super().__init__(begin_step, end_step, frequency, begin=begin, end=end, unit=unit)
        self._must_end()
        if (q is None) == (theta is None):
            raise ValueError(f"q={q!r}, theta={theta!r}: exactly one of them must be given.")
        if phi is not None and not (is_number(phi) and phi >= 0):
            raise ValueError(f"phi={phi!r}: must be a number >= 0.")
        self.q: Any = None if q is None else _positive("q", q)
        self.theta: Any = None if theta is None else _positive("theta", theta)
        self.phi: Any = None if phi is None else float(phi)
        self.ramp_step: Any = None
        self.ramp: float | None = None
        if (ramp if self.begin is None else ramp_step) is not None:
            raise ValueError(
                f"ramp_step={ramp_step!r}, ramp={ramp!r}: ramp_step goes with begin_step and end_step, ramp with begin "
                "and end."
            )
        if self.begin is not None:
            self.ramp = _within("ramp", ramp, "begin", self.begin, "end", self.end)
            return
        self.ramp_step = _within("ramp_step", ramp_step, "begin_step", self.begin_step, "end_step", self.end_step)
        if q is not None:
            slow, fast = self.ramp_step - self.begin_step, self.end_step - self.ramp_step
            self.theta = 2 * q * self.frequency / (2 * slow + 3 * fast)
        if self.phi is None:
            self.phi = 1.5 * self.theta

    @classmethod
    def from_model(
        cls,
        model: keras.Model,
        begin_step: int | None = None,
        ramp_step: int | None = None,
        end_step: int = -1,
        quantile: float = 0.9,
        layers: LayerSelection = None,
        phi: float | None = None,
        frequency: int | None = None,
        **times: Any,
    ) -> "Self":
        """Creates a schedule whose q is a quantile of |w| in a trained dense model.

        Args:
            model: Built `keras.Model` of the same architecture as the one to prune.
            quantile: Fraction of the weights below q, in (0, 1); 0.9 in the paper.
            layers: The layers whose kernels are counted together; None for all recurrent layers. Select the layers that
                `ThresholdPruning` will prune. See `sparsity.find_kernels`.
            begin_step, ramp_step, end_step, phi, frequency: See `RampThreshold`.
            **times: `begin`, `ramp`, `end` and `unit` instead of the steps.

        Raises:
            ValueError: If an argument is outside its range, the model is not built, or it has no such kernel.
        """
        if not (is_number(quantile) and 0 < quantile < 1):
            raise ValueError(f"quantile={quantile!r}: must be in (0, 1).")
        kernels, skipped = find_kernels(model, layers)
        if not kernels:
            raise ValueError(f"The model {model.name!r} has no prunable kernel. Skipped: {skipped}.")
        weights = [np.ravel(keras.ops.convert_to_numpy(k.variable.value)).astype("float32") for k in kernels]
        q = float(np.quantile(np.abs(np.concatenate(weights)), quantile))
        if q == 0:
            raise ValueError(f"{quantile:.3g} of the weights of {model.name!r} are zero: the model must be dense.")
        return cls(begin_step, ramp_step, end_step, q=q, phi=phi, frequency=frequency, **times)

    def value(self, step: int) -> float:
        if step < self.begin_step:
            return 0.0
        slow = min(step, self.ramp_step) - self.begin_step + 1
        fast = min(step, self.end_step) - self.ramp_step + 1 if step >= self.ramp_step else 0
        return (self.theta * slow + self.phi * fast) / self.frequency

    def get_config(self) -> dict[str, Any]:
        if self.begin is not None:
            return {"ramp": self.ramp, "q": self.q, "theta": self.theta, "phi": self.phi, **super().get_config()}
        return {"ramp_step": self.ramp_step, "theta": self.theta, "phi": self.phi, **super().get_config()}

    def _must_end(self):
        super()._must_end()
        if self.begin_step == self.end_step and self.begin == self.end:
            unit = "_step" if self.begin is None else ""
            raise ValueError(
                f"end{unit}={getattr(self, 'end' + unit)}: must be > begin{unit}={getattr(self, 'begin' + unit)}."
            )


def _integer(name, value, at_least):
    if not (is_number(value) and value == int(value) >= at_least):
        raise ValueError(f"{name}={value!r}: must be an integer >= {at_least}.")
    return int(value)


def _time(name, value, unit):
    most = 1 if unit == "fit" else math.inf
    if not (is_number(value) and 0 <= value <= most):
        allowed = "a share of the fit, in [0, 1]" if unit == "fit" else "a number of epochs, >= 0"
        raise ValueError(f"{name}={value!r}: must be {allowed}.")
    return float(value)


def _within(name, value, first, begin, last, end):
    if not (is_number(value) and begin <= value <= end):
        raise ValueError(f"{name}={value!r}: must be in [{first}, {last}] = [{begin}, {end}].")
    return value


def _share(name, value):
    if not (is_number(value) and 0 <= value < 1):
        raise ValueError(f"{name}={value!r}: must be in [0, 1).")
    return float(value)


def _positive(name, value):
    if not (is_number(value) and value > 0):
        raise ValueError(f"{name}={value!r}: must be a number > 0.")
    return float(value)
