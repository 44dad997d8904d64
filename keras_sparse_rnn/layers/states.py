"""The states of a recurrent layer after each step."""

import keras

from keras_sparse_rnn.typing import Tensor


def states_of(
    layer: keras.layers.RNN,
    x: Tensor,
    name: str | None = None,
    stateful: bool = False,
    initial_state: list[Tensor] | None = None,
    mask: Tensor | None = None,
) -> list[Tensor]:
    """Returns the states of a recurrent layer after each step.

    Args:
        layer: A built `keras.layers.RNN` over one cell; its variables are copied.
        x: The input of the layer, a (symbolic) tensor (batch, time, features).
        name: Name of the layer that computes the states.
        stateful: Whether that layer carries its states from call to call.
        initial_state: List of the states before the first step; None for zeros.
        mask: Boolean tensor (batch, time), False at steps to skip. The states of the previous step repeat there, or 0
            before the first computed step.

    Returns:
        A list of tensors (batch, time, size), in the order of the cell's states. The steps are in the order of
        computation.
    """
    cell = type(layer.cell).from_config(layer.cell.get_config())
    arguments = {"go_backwards": layer.go_backwards, "stateful": stateful, "name": name}
    twin = keras.layers.RNN(_ShowsStates(cell), return_sequences=True, **arguments)
    states = twin(x, initial_state=initial_state, mask=mask)
    twin.set_weights(layer.get_weights())
    sizes = keras.tree.flatten(cell.state_size)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [states[..., end - size : end] for size, end in zip(sizes, ends, strict=True)]


class _ShowsStates(keras.layers.Layer):
    """A cell whose output is its states, side by side."""

    def __init__(self, cell):
        super().__init__(dtype=cell.dtype_policy)
        self.cell = cell
        self.state_size = cell.state_size

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build(input_shape)
        self.state_size = self.cell.state_size  # sizes that depend on the input are known now
        self.output_size = sum(keras.tree.flatten(self.state_size))

    def call(self, inputs, states, training=False):
        _, states = self.cell(inputs, states, training=training)
        return keras.ops.concatenate(keras.tree.flatten(states), axis=-1), states

    def get_initial_state(self, batch_size=None):
        return self.cell.get_initial_state(batch_size=batch_size)
