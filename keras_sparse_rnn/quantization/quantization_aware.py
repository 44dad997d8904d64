"""Quantization-aware training in `fit`."""

import math
from typing import Any, Literal

import keras

from keras_sparse_rnn.convert.options import SCALES
from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.quantization.fake_quantization import MOMENTUM, IntegerModel

_EVERY = 64  # steps between updates of the converter's numbers; before that, updates at steps 1, 2, 4, 8 ..


class QuantizationAware(keras.callbacks.Callback):
    """Trains a model with the integers that `ksr.convert` uses (Jacob et al., 2018, arXiv:1712.05877).

    From step `begin` on, the layers compute with the integers of the converted model. Weights, inputs, states, gates
    and outputs are rounded as in its ops, with the scales that the converter chooses. Gradients pass through the
    rounding unchanged. Ranges of activations are moving averages of each batch's minimum and maximum. Validation
    measures the integer model. No layer is wrapped: when `fit` ends, the layers compute in floats again, and a model
    saved at any time is a plain Keras model. If `fit` is interrupted, call `on_train_end()`.

        training = ksr.quantization.QuantizationAware(begin=1000)
        model.fit(x, y, callbacks=[pruning, training])
        converted = ksr.convert(model, ranges=training.ranges)

    It can be combined with all pruning and sparse training callbacks, as zeros stay zeros in integers. It is a callback
    because it needs the model, the step and the validation, which neither a layer wrapper nor an optimizer knows.

    Args:
        weights: `"int8"`, or `"int4"` for 4-bit weights in recurrent layers and 8-bit weights in the other layers.
        activations: `"int8"`.
        scales: Which weights share a scale, as in `ksr.convert`.
        begin: The step of this fit, at least 0, from which on the model computes in integers. The steps before it, at
            least one, record ranges. Training in floats for most of the steps is faster and gives the same quality.
        momentum: Momentum of the moving averages of ranges, in [0, 1).

    Attributes:
        ranges: The `Ranges`. Available once `fit` has ended.

    Raises:
        ValueError: If an argument is out of range. In `fit`, if a layer, which the message names, cannot be converted
            or cannot be trained for integers, or ranges are not finite.
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
            ("weights", weights, ("int8", "int4")),
            ("activations", activations, ("int8",)),
            ("scales", scales, SCALES),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; given: {value!r}.")
        if isinstance(begin, bool) or not isinstance(begin, int) or begin < 0:
            raise ValueError(f"begin must be an integer of at least 0, a step; given: {begin!r}.")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1); given: {momentum!r}.")
        self.weights, self.scales, self.begin, self.momentum = weights, scales, begin, momentum
        self.ranges: Ranges | None = None
        self._integers: Any = None
        self._step = 0
        self._rounds = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._step, self._rounds, self.ranges = 0, False, None
        self._integers = IntegerModel(self.model, self.weights, self.scales, self.momentum)
        self._integers.record_all()
        self.model.make_train_function(force=True)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._integers.recording = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._integers.recording = False
        self._step += 1
        if not self._rounds and self._step >= self.begin:
            self._refresh()
            self._integers.round_all()
            self.model.make_train_function(force=True)
            self._rounds = True
        elif self._rounds and (self._step % _EVERY == 0 or math.log2(self._step - self.begin + 1).is_integer()):
            self._refresh()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._rounds:
            self._refresh()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.model  # noqa: B018
        learned = self._integers.ranges()
        self._integers.release()
        self.ranges = Ranges(learned, self.weights, self.scales)

    def _refresh(self):
        # On JAX, the property `self.model` copies the training state back into the model.
        self.model  # noqa: B018
        self._integers.set(self._integers.ranges())
