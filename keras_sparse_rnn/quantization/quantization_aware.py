"""Training for integers under `fit`."""

import math
from typing import Any, Literal

import keras

from keras_sparse_rnn.convert.options import SCALES
from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.quantization.fake_quantization import MOMENTUM, IntegerModel

_EVERY = 64  # steps from which on the converter's numbers are taken again; before, at 1, 2, 4, 8 ..


class QuantizationAware(keras.callbacks.Callback):
    """Trains a model for the integers that `ksr.convert` makes of it (Jacob et al., 2018, arXiv:1712.05877).

    From step `begin` on the layers compute in the integers of the converted model: weights, inputs, states, gates and
    outputs are rounded as its ops round them, by the scales that the converter itself chooses; gradients pass through
    the rounding. Ranges of activations are moving averages of the smallest and the largest values of each batch.
    Validation during this training is that of the integer model. Nothing is wrapped: the layers have their own calls
    back when `fit` has ended, and a model saved at any time is a plain Keras model. After a `fit` that was interrupted
    call `on_train_end()`.

        training = ksr.quantization.QuantizationAware(begin=1000)
        model.fit(x, y, callbacks=[pruning, training])
        converted = ksr.convert(model, ranges=training.ranges)

    It goes with every callback that keeps masks: zeros are zeros in integers. A callback knows the model, the step and
    the validation of a training, which neither a wrapper of layers nor an optimizer does.

    Args:
        weights: `"int8"`, or `"int4"`: those of recurrent layers have 4 bits, those of the layers around them 8.
        activations: `"int8"`.
        scales: Which weights share a scale, as `ksr.convert` takes it.
        begin: The step of this fit from which on the model computes in integers, at least 0. The step before it, at
            least one, records ranges. Training in floats first, for most of the steps, is faster and as good.
        momentum: What of a range's moving average a batch leaves, in [0, 1).

    Attributes:
        ranges: The `Ranges`, when `fit` has ended.

    Raises:
        ValueError: An argument is out of its range. In `fit`: the model has a layer that cannot be converted or cannot
            be trained for integers; it names the layer. Ranges are not finite.
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
        # On JAX the property `self.model` brings the state of training back into the model.
        self.model  # noqa: B018
        self._integers.set(self._integers.ranges())
