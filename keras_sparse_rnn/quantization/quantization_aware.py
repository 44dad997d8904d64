"""Quantization-aware training in `fit`."""

import warnings
from typing import Any, Literal

import keras

from keras_sparse_rnn.callbacks.fit_clock import FitClock
from keras_sparse_rnn.callbacks.optimizer_state import optimizer_of
from keras_sparse_rnn.convert.options import SCALES
from keras_sparse_rnn.convert.ranges import WEIGHTS, Ranges
from keras_sparse_rnn.quantization.fake_quantization import MOMENTUM, IntegerModel
from keras_sparse_rnn.typing import is_integer, is_number

_EVERY = 64  # steps between updates of the converter's numbers; before that, updates at steps 1, 2, 4, 8 ..


class QuantizationAware(keras.callbacks.Callback):
    """Trains a model with the integers that `ksr.convert` uses (Jacob et al., 2018, arXiv:1712.05877).

    From step `begin` on, the layers compute with the integers of the converted model. Weights, inputs, states, gates
    and outputs are rounded as in its ops, with the scales that the converter chooses. Gradients pass through the
    rounding unchanged. Ranges of activations are moving averages of each batch's minimum and maximum. Validation
    measures the integer model. No layer is wrapped: only the train and validation steps of this `fit` compute in
    integers. At any other time, in other callbacks and after an interrupted `fit` too, the model is a plain Keras model
    that computes in floats.

        training = ksr.quantization.QuantizationAware(begin=1000)
        model.fit(x, y, callbacks=[pruning, training])
        converted = ksr.convert(model, ranges=training.ranges)

    It trains all recurrent layers that `ksr.convert` supports except ONLSTM, with their events, held values and
    activations. It can be combined with all pruning and sparse training callbacks, as zeros stay zeros in integers. It
    is a callback because it needs the model, the step and the validation, which neither a layer wrapper nor an
    optimizer knows.

    Args:
        weights: `"int8"`, or `"int4"` for 4-bit weights in recurrent layers and 8-bit weights in the other layers.
        activations: `"int8"`.
        scales: Which weights share a scale, as in `ksr.convert`.
        begin: The step of this fit, at least 0, from which on the model computes in integers. Steps are updates of the
            optimizer, as for the pruning callbacks. The steps before it, at least one, record ranges. Training in
            floats for most of the steps is faster and gives the same quality.
        momentum: Momentum of the moving averages of ranges, in [0, 1).

    Attributes:
        ranges: The `Ranges`. Available once `fit` has ended; after an interrupted `fit`, once you call
            `on_train_end()`. None, with a warning, if no step was in integers.

    Raises:
        ValueError: If an argument is out of range. In `fit`, if a layer, which the message names, cannot be converted
            or cannot be trained for integers, ranges are not finite, or the model already computes in integers.
    """

    def __init__(
        self,
        weights: Literal["int8", "int4"] = "int8",
        activations: Literal["int8"] = "int8",
        scales: Literal["gate", "output"] = "gate",
        begin: int = 0,
        momentum: float = MOMENTUM,
    ) -> None:
        super().__init__()
        for name, value, allowed in (
            ("weights", weights, WEIGHTS),
            ("activations", activations, ("int8",)),
            ("scales", scales, SCALES),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; given: {value!r}.")
        if not (is_integer(begin) and begin >= 0):
            raise ValueError(f"begin must be an integer of at least 0, a step; given: {begin!r}.")
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(f"momentum must be a number in [0, 1); given: {momentum!r}.")
        self.weights, self.scales, self.begin, self.momentum = weights, scales, begin, momentum
        self.ranges: Ranges | None = None
        self._integers: Any = None
        self._clock = FitClock("fit")
        self._step: int | None = None
        self._rounds_from: int | None = None  # the step from which on it computes in integers
        self._functions: dict[tuple[str, bool], Any] = {}  # by their names in the model, and whether they round

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._clock.wind(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Keras passes the same dict to all callbacks of a fit, and only to them.
        if self.params is not None and self.params.setdefault("quantization_aware", self) is not self:
            raise ValueError(
                f"model '{self.model.name}' already computes in integers: this fit has two QuantizationAware "
                "callbacks. Give it one."
            )
        self._step = self._rounds_from = self.ranges = None
        self._functions = {}
        self._integers = IntegerModel(self.model, self.weights, self.scales, "__ksr_trains_integers", self.momentum)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._step is None:
            self._step = self._clock.start(self._optimizer, epoch, self.params or {})

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._replace_once("train_function", recording=True)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        before, self._step = self._step or 0, self._clock.step(self._optimizer)
        if self._rounds_from is None:
            if self._step >= self.begin:
                self._rounds_from = self._step
                self._refresh()
        elif _refreshes(self._step - self._rounds_from) > _refreshes(before - self._rounds_from):
            self._refresh()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._rounds_from is not None:
            self._refresh()

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._rounds_from is not None:
            self._replace_once("test_function", recording=False)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.model  # noqa: B018
        learned = self._integers.ranges()
        self._integers.release()
        if ("train_function", True) in self._functions:
            self.ranges = Ranges(learned, self.weights, self.scales)
        else:
            warnings.warn(
                f"QuantizationAware(begin={self.begin}) has trained no step in integers: this fit ended at step "
                f"{self._step}. The model is trained in floats, and `ranges` is None. Take a smaller `begin` or more "
                "steps; at least one step, in floats, comes first.",
                stacklevel=2,
            )

    @property
    def _optimizer(self):
        model = self.model
        return optimizer_of(model, model.trainable_variables, self._clock.bases)

    def _replace_once(self, name, recording):
        """Replaces a function of the model for its next call by one in which the layers' calls are replaced.

        A function stays compiled as it was first called. So the model's own functions never see the replaced calls, and
        nothing is left to undo when `fit` is interrupted.
        """
        model, integers, rounds = self._integers.model, self._integers, self._rounds_from is not None
        own = getattr(model, name)
        own = getattr(own, "own", own)  # a replaced one that an error has kept from being called
        if (name, rounds) not in self._functions:
            self._functions[name, rounds] = _made_apart(model, name)
        function = self._functions[name, rounds]

        def called_once(*args):
            setattr(model, name, own)
            with integers.computing(rounds, recording):
                return function(*args)

        called_once.own = own
        setattr(model, name, called_once)

    def _refresh(self):
        # On JAX, the property `self.model` copies the training state back into the model.
        self.model  # noqa: B018
        ranges = Ranges(self._integers.ranges(), self.weights, self.scales)  # which must be finite
        self._integers.set(ranges)


def _made_apart(model, name):
    """Returns a train or test function of a model that shares no compiled step with others.

    JAX shares what it has compiled among equal functions, as the bound methods of one model are.
    """
    step = name.replace("function", "step")
    before, own = vars(model).get(step), getattr(model, step)
    vars(model)[step] = lambda *args, **kwargs: own(*args, **kwargs)
    try:
        getattr(model, f"make_{name}")(force=True)
        return getattr(model, name)
    finally:
        del vars(model)[step]
        if before is not None:
            vars(model)[step] = before


def _refreshes(steps):
    """Returns how often the converter's numbers have been updated after a number of steps in integers."""
    return steps // _EVERY + min(steps, _EVERY).bit_length()
