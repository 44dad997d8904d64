"""The weights of a GRU as a Keras cell."""

from typing import Any

import keras
from keras import ops

from keras_sparse_rnn.layers.weights_cell import WeightsCell
from keras_sparse_rnn.typing import Shape, Tensor, check_flag


class GRUWeightsCell(WeightsCell, keras.layers.GRUCell):
    """Base class of cells with the weights of `keras.layers.GRUCell(reset_after=True)`.

    The weights are `kernel` W (features, 3 * units), `recurrent_kernel` R (units, 3 * units) and `bias` b_x and b_r
    (2, 3 * units), with the gates in the order z, r, h. The arguments are those of the Keras cell. `reset_after` must
    be True unless the class sets `resets_before`; with `reset_after=False` the bias is (3 * units,), without b_r.
    Without `reset_gate` there are only the gates z and h, with 2 * units columns and one bias (2 * units,).
    """

    in_keras = keras.layers.GRUCell  # the Keras cell that it replaces
    resets_before = False

    def __init__(self, units: int, reset_after: bool = True, reset_gate: bool = True, **kwargs: Any) -> None:
        check_flag("reset_after", reset_after)
        check_flag("reset_gate", reset_gate)
        if not reset_after and not (self.resets_before and reset_gate):
            raise ValueError(
                f"`reset_after` must be True: {type(self).__name__}{'' if reset_gate else ' without a reset gate'} has "
                f"no reset gate before the recurrent product. Received: reset_after={reset_after}"
            )
        super().__init__(units, reset_after=reset_after, **kwargs)
        self.reset_gate = reset_gate
        if self.recurrent_dropout:
            self.dropout_mask_count = len(self.gates)

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates, in the order of the kernels' columns."""
        return ("z", "r", "h") if self.reset_gate else ("z", "h")

    @property
    def candidate_gate(self) -> int:
        """Index of the candidate in `gates`."""
        return len(self.gates) - 1

    def build(self, input_shape: Shape) -> None:
        if self.reset_gate:
            super().build(input_shape)
            return
        keras.layers.Layer.build(self, input_shape)
        self._add_weights(input_shape, (2 * self.units,))

    @property
    def has_recurrent_bias(self) -> bool:
        """Whether the recurrent product has a bias of its own."""
        return self.reset_gate and self.reset_after

    def input_biases(self) -> list[Tensor]:
        """Returns the biases to add to the projected inputs, (units,) per gate; for z and r with the recurrent bias."""
        if not self.has_recurrent_bias:
            return super().input_biases()
        (b_z, b_r, b_h), (recurrent_b_z, recurrent_b_r, _) = (ops.split(self.bias[i], 3) for i in range(2))
        return [b_z + recurrent_b_z, b_r + recurrent_b_r, b_h]

    def recurrent_weights(self) -> tuple[Tensor, ...]:
        """Returns R and, with `reset_after`, the candidate's recurrent bias (units,), in the compute dtype."""
        if not self.reset_after:
            return super().recurrent_weights()
        bias = self.bias[1, 2 * self.units :] if self.use_bias and self.reset_gate else ops.zeros((self.units,))
        return (*super().recurrent_weights(), ops.cast(ops.convert_to_tensor(bias), self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_gate": self.reset_gate}
