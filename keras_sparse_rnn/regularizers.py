"""Regularizers that make activity sparse."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class EventPenalty(keras.regularizers.Regularizer):
    """Makes the units of an event layer fire less often.

        on="state":                strength * mean(relu(c~))
        on="rate":                 strength * mean(e)
        on="rate" with a target:   strength * (mean(e) - target)^2

    c~ is the state before the threshold and before the reset, e the event (0 or 1), differentiated by the layer's
    surrogate. The means are over all units and all valid (unmasked) positions of the batch, so that neither the batch size
    nor padding changes the scale. Pass it to the layer, which alone knows c~ and e:

    >>> layer = EventGRU(128, activity_regularizer=EventPenalty(2.0))

    The rate with a target is the activity loss of Subramoney et al., ICLR 2023, arXiv:2206.06178.

    Args:
        strength: Factor of the penalty, at least 0. On "state" about 2 is a good start; it is added to the model's loss.
        on: "state" or "rate".
        target: Event rate to aim at, in [0, 1]; only with on="rate". None aims at no events at all.

    Raises:
        ValueError: an argument is out of its range, `target` is given with on="state", or the penalty is called on a
            tensor, as a layer that has no events would do.
    """

    def __init__(self, strength=2.0, on="state", target=None):
        if not strength >= 0:
            raise ValueError(f"`strength` must be at least 0. Received: strength={strength}")
        if on not in ("state", "rate"):
            raise ValueError(f"`on` must be 'state' or 'rate'. Received: on={on!r}")
        if target is not None and on != "rate":
            raise ValueError(f"`target` needs on='rate'. Received: target={target} with on={on!r}")
        if target is not None and not 0 <= target <= 1:
            raise ValueError(f"`target` must be an event rate in [0, 1]. Received: target={target}")
        self.strength = strength
        self.on = on
        self.target = target

    def penalty(self, state, events, mask=None):
        """The penalty of one sequence batch.

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

    def __call__(self, x):
        raise ValueError(
            "`EventPenalty` needs the state before the threshold, which a layer's output does not show. "
            "Pass it to a layer that has events: EventGRU(..., activity_regularizer=EventPenalty(...))."
        )

    def get_config(self):
        return {"strength": self.strength, "on": self.on, "target": self.target}


def _mean(x, mask):
    x = ops.cast(x, "float32")  # a sum over batch, time and units overflows float16
    if mask is None:
        return ops.mean(x)
    valid = ops.sum(ops.cast(mask, "float32")) * x.shape[-1]
    return ops.divide_no_nan(ops.sum(ops.where(mask, x, 0.0)), valid)
