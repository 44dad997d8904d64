"""How a callback's sparsity moves with the training step.

A schedule is called with the number of optimizer steps taken so far and returns `(due, sparsity)`: whether masks are
to be computed anew at this step, and the share of weights to be zero. Names, arguments and values are those of
`tensorflow_model_optimization.sparsity.keras`, whose own schedule objects work in the same places, as does any
function of a step that returns such a pair.
"""

import abc
import math

import keras


class Schedule(abc.ABC):
    """Base of the schedules: acts every `frequency` steps, from `begin_step` to `end_step`, both included.

    Subclasses give the value in `value(step)` and their arguments in `get_config`.

    Args:
        begin_step: Optimizer step from which the schedule acts, >= 0. Step 0 is before the first update.
        end_step: Last optimizer step at which it acts, >= begin_step; -1 for never ending. A callback acts at this step
            even where it is not a multiple of `frequency` away from `begin_step`, so that the final value is reached.
        frequency: Number of steps between two actions, >= 1.

    Raises:
        ValueError: If a step or the frequency is no integer or outside its range.
    """

    def __init__(self, begin_step, end_step=-1, frequency=100):
        self.begin_step = _integer("begin_step", begin_step, at_least=0)
        self.end_step = _integer("end_step", end_step, at_least=-1)
        self.frequency = _integer("frequency", frequency, at_least=1)
        if end_step != -1 and end_step < begin_step:
            raise ValueError(
                f"The schedule ends before it begins: begin_step={begin_step}, end_step={end_step}. "
                "end_step must be -1 (no end) or >= begin_step."
            )

    def __call__(self, step):
        """Returns `(due, value)` for the optimizer step `step`, an int >= 0."""
        in_range = self.begin_step <= step and (step <= self.end_step or self.end_step == -1)
        return in_range and (step - self.begin_step) % self.frequency == 0, self.value(step)

    @abc.abstractmethod
    def value(self, step):
        """The schedule's value at the optimizer step `step`, whether it acts there or not."""

    def get_config(self):
        return {"begin_step": self.begin_step, "end_step": self.end_step, "frequency": self.frequency}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class ConstantSparsity(Schedule):
    """The same sparsity at every action.

    Args:
        target_sparsity: Share of weights to be zero, in [0, 1).
        begin_step, end_step, frequency: See `Schedule`; `end_step=-1` goes on for as long as training does.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> ConstantSparsity(0.8, begin_step=1000)(1100)
    (True, 0.8)
    """

    def __init__(self, target_sparsity, begin_step, end_step=-1, frequency=100):
        super().__init__(begin_step, end_step, frequency)
        self.target_sparsity = _share("target_sparsity", target_sparsity)

    def value(self, step):
        return self.target_sparsity

    def get_config(self):
        return {"target_sparsity": self.target_sparsity, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class PolynomialDecay(Schedule):
    """Sparsity that grows fast at first and ever slower to its final value (Zhu & Gupta 2017, arXiv:1710.01878).

    With t = (step - begin_step) / (end_step - begin_step), clipped to [0, 1]:

        sparsity = final_sparsity + (initial_sparsity - final_sparsity) * (1 - t) ** power

    Args:
        initial_sparsity: Share of weights to be zero at `begin_step`, in [0, 1).
        final_sparsity: Share of weights to be zero at `end_step`, in [0, 1).
        begin_step, end_step, frequency: See `Schedule`; `end_step` must be given.
        power: Exponent, > 0; 3 in the paper.

    Raises:
        ValueError: If an argument is outside its range.
    """

    def __init__(self, initial_sparsity, final_sparsity, begin_step, end_step, power=3, frequency=100):
        super().__init__(begin_step, end_step, frequency)
        if end_step == -1:
            raise ValueError("end_step=-1: a PolynomialDecay must end; end_step must be >= begin_step.")
        self.initial_sparsity = _share("initial_sparsity", initial_sparsity)
        self.final_sparsity = _share("final_sparsity", final_sparsity)
        if not power > 0:
            raise ValueError(f"power={power}: must be > 0.")
        self.power = power

    def value(self, step):
        if step >= self.end_step:
            return self.final_sparsity
        t = max(0.0, (step - self.begin_step) / (self.end_step - self.begin_step))
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * (1 - t) ** self.power

    def get_config(self):
        return {
            "initial_sparsity": self.initial_sparsity,
            "final_sparsity": self.final_sparsity,
            "power": self.power,
            **super().get_config(),
        }


def _integer(name, value, at_least):
    if isinstance(value, bool) or int(value) != value or value < at_least:
        raise ValueError(f"{name}={value!r}: must be an integer >= {at_least}.")
    return int(value)


def _share(name, value):
    if not 0 <= value < 1 or math.isnan(value):
        raise ValueError(f"{name}={value!r}: must be in [0, 1).")
    return float(value)
