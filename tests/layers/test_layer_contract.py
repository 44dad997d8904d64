"""What the recurrent layers here have in common with Keras's own: shapes, states, masks, directions, files."""

from dataclasses import dataclass, field
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse_rnn.layers import (
    ONLSTM,
    DeltaDense,
    DeltaDenseCell,
    DeltaGRU,
    DeltaGRUCell,
    DeltaLSTM,
    DeltaLSTMCell,
    DeltaSimpleRNN,
    DeltaSimpleRNNCell,
    EventGRU,
    EventGRUCell,
    FastGRNN,
    FastGRNNCell,
    LightGRU,
    LightGRUCell,
    ONLSTMCell,
    RecurrentHighway,
    RecurrentHighwayCell,
)

BATCH, TIME, FEATURES, UNITS = 4, 7, 3, 6


@dataclass(frozen=True)
class Kind:
    """A layer and its cell.

    Attributes:
        of, cell: Classes.
        arguments: Of both.
        states: Sizes of the states of a layer with `UNITS` units.
        continuous: Further arguments with which no event or change hangs on rounding.
    """

    of: type
    cell: type
    arguments: dict = field(default_factory=dict)
    states: tuple = (UNITS,)
    continuous: dict = field(default_factory=dict)

    def layer(self, units=UNITS, **arguments):
        return self.of(units, **self.arguments | arguments)


EVENTS = {"threshold_mode": "clipped", "threshold_initializer": "zeros", "activation": "sigmoid"}
KINDS = {
    "EventGRU": Kind(EventGRU, EventGRUCell, {}, 2 * (UNITS,), EVENTS),
    "EventGRU, cell": Kind(EventGRU, EventGRUCell, {"readout": "cell"}, 2 * (UNITS,), EVENTS),
    "EventGRU, trace": Kind(EventGRU, EventGRUCell, {"readout": "trace"}, 3 * (UNITS,), EVENTS),
    "DeltaGRU": Kind(
        DeltaGRU,
        DeltaGRUCell,
        {"input_threshold": 0.5, "hidden_threshold": 0.1},
        (UNITS, UNITS, FEATURES),
        {"input_threshold": 0.0, "hidden_threshold": 0.0},
    ),
    "DeltaGRU, no reset gate": Kind(
        DeltaGRU,
        DeltaGRUCell,
        {"input_threshold": 0.5, "hidden_threshold": 0.1, "reset_gate": False},
        (UNITS, UNITS, FEATURES),
        {"input_threshold": 0.0, "hidden_threshold": 0.0},
    ),
    "EventGRU, no reset gate": Kind(EventGRU, EventGRUCell, {"reset_gate": False}, 2 * (UNITS,), EVENTS),
    "LightGRU": Kind(LightGRU, LightGRUCell),
    "FastGRNN": Kind(FastGRNN, FastGRNNCell),
    "LightGRU, joint rank": Kind(LightGRU, LightGRUCell, {"rank": 2}),
    "FastGRNN, two ranks": Kind(FastGRNN, FastGRNNCell, {"rank": (2, 3)}),
    "DeltaGRU, reset before": Kind(
        DeltaGRU,
        DeltaGRUCell,
        {"input_threshold": 0.5, "hidden_threshold": 0.1, "reset_after": False},
        (UNITS, UNITS, UNITS, FEATURES),
        {"input_threshold": 0.0, "hidden_threshold": 0.0},
    ),
    "DeltaLSTM": Kind(
        DeltaLSTM,
        DeltaLSTMCell,
        {"input_threshold": 0.5, "hidden_threshold": 0.1},
        (UNITS, UNITS, UNITS, FEATURES),
        {"input_threshold": 0.0, "hidden_threshold": 0.0},
    ),
    "DeltaSimpleRNN": Kind(
        DeltaSimpleRNN,
        DeltaSimpleRNNCell,
        {"input_threshold": 0.5, "hidden_threshold": 0.1},
        (UNITS, UNITS, FEATURES),
        {"input_threshold": 0.0, "hidden_threshold": 0.0},
    ),
    "DeltaDense": Kind(
        partial(DeltaDense, return_sequences=False),
        DeltaDenseCell,
        {"input_threshold": 0.5, "activation": "tanh"},
        (FEATURES,),
        {"input_threshold": 0.0},
    ),
    "RecurrentHighway": Kind(RecurrentHighway, RecurrentHighwayCell),
    "RecurrentHighway, not coupled": Kind(RecurrentHighway, RecurrentHighwayCell, {"coupled": False, "depth": 2}),
    "ONLSTM": Kind(ONLSTM, ONLSTMCell, {"chunk_size": 2}, 2 * (UNITS,)),
}
by_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def on_other_backends(test):
    slowly = pytest.mark.backend_slow(kind=[KINDS["DeltaGRU"], KINDS["LightGRU"], KINDS["FastGRNN"]])
    return pytest.mark.backend(kind=[KINDS["EventGRU, trace"]])(slowly(test))


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def assert_close(a, b, atol=1e-6):
    np.testing.assert_allclose(numpy(a), numpy(b), atol=atol)


def with_weights_of(layer, other):
    layer.build((BATCH, TIME, FEATURES))
    layer.set_weights(other.get_weights())
    return layer


@by_kind
@pytest.mark.parametrize("return_sequences", [False, True])
def test_shapes_are_those_promised(kind, return_sequences):
    for return_state in (False, True):
        layer = kind.layer(return_sequences=return_sequences, return_state=return_state)
        expected = [(BATCH, TIME, UNITS) if return_sequences else (BATCH, UNITS)]
        expected += [(BATCH, size) for size in kind.states] * return_state
        symbolic, actual = layer(keras.Input((None, FEATURES))), layer(sequences())
        computed = layer.compute_output_shape((BATCH, TIME, FEATURES))
        if not return_state:
            symbolic, actual, computed = [symbolic], [actual], [computed]
        assert [tuple(value.shape) for value in actual] == [tuple(shape) for shape in computed] == expected
        assert [tuple(value.shape)[1:] for value in symbolic] == [
            (None, UNITS) if len(shape) == 3 else shape[1:] for shape in expected
        ]


@on_other_backends
@by_kind
def test_bidirectional_is_two_layers(kind):
    x = sequences()
    mask = np.arange(TIME) < np.array([[7], [5], [2], [6]])
    both = layers.Bidirectional(kind.layer(return_sequences=True))
    output = numpy(both(x, mask=mask))
    assert_close(output[..., :UNITS], both.forward_layer(x, mask=mask))
    assert_close(output[..., UNITS:], numpy(both.backward_layer(x, mask=mask))[:, ::-1])
    both.forward_layer.set_weights(both.backward_layer.get_weights())
    assert_close(both.backward_layer(x), both.forward_layer(x[:, ::-1]))


@on_other_backends
@by_kind
def test_stateful_layer_in_chunks_is_the_whole(kind):
    x = sequences()
    whole = kind.layer(return_sequences=True)
    expected = whole(x)
    chunked = with_weights_of(kind.layer(return_sequences=True, stateful=True), whole)
    for _ in range(2):
        parts = [numpy(chunked(x[:, i:j])) for i, j in ((0, 3), (3, 4), (4, TIME))]
        assert_close(np.concatenate(parts, axis=1), expected)
        chunked.reset_state()


@by_kind
def test_initial_state_continues_a_sequence(kind):
    layer = kind.layer(return_state=True)
    whole, *last = layer(sequences())
    _, *states = layer(sequences()[:, :4])
    for value, expected in zip(layer(sequences()[:, 4:], initial_state=states), (whole, *last), strict=True):
        assert_close(value, expected)


@on_other_backends
@by_kind
def test_masked_steps_hold_the_state_and_repeat_the_output(kind):
    x, padded = sequences(), sequences(1)
    padded[:, 2:5] = x[:, :3]
    mask = np.zeros((BATCH, TIME), bool)
    mask[:, 2:5] = True
    layer = kind.layer(return_sequences=True, return_state=True)
    expected, *expected_states = (numpy(value) for value in layer(x[:, :3]))
    output, *states = (numpy(value) for value in layer(padded, mask=mask))
    assert_close(output[:, 2:5], expected)
    assert_close(output[:, :2], np.zeros((BATCH, 2, UNITS)))
    assert_close(output[:, 5:], np.repeat(expected[:, -1:], 2, axis=1))
    for state, target in zip(states, expected_states, strict=True):
        assert_close(state, target)
    zeros = with_weights_of(kind.layer(return_sequences=True, zero_output_for_mask=True), layer)
    assert_close(zeros(padded, mask=mask), output * mask[..., None])


@by_kind
def test_masked_steps_at_the_start_give_zeros_whatever_the_initial_state(kind):
    layer = kind.layer(return_sequences=True, return_state=True)
    _, *states = layer(sequences())
    mask = np.broadcast_to(np.arange(TIME) >= 2, (BATCH, TIME))
    output = numpy(layer(sequences(1), initial_state=states, mask=mask)[0])
    expected = numpy(layer(sequences(1)[:, 2:], initial_state=states)[0])
    assert_close(output, np.pad(expected, ((0, 0), (2, 0), (0, 0))))
    last = with_weights_of(kind.layer(), layer)
    assert_close(last(sequences(1), initial_state=states, mask=np.zeros_like(mask)), np.zeros((BATCH, UNITS)))


@by_kind
def test_mask_of_an_embedding_reaches_the_layer(kind):
    words = layers.Embedding(9, FEATURES, mask_zero=True)
    model = keras.Sequential([keras.Input((None,)), words, kind.layer()])
    tokens = np.array([[3, 5, 2, 8]])
    assert_close(model(np.pad(tokens, ((0, 0), (0, 3)))), model(tokens))


@by_kind
def test_cells_in_keras_rnn_are_the_layers(kind):
    apart = [kind.layer(return_sequences=True), kind.layer(4, return_state=True)]
    expected = apart[1](apart[0](sequences()))
    cells = [kind.cell(units, **kind.arguments) for units in (UNITS, 4)]
    stack = layers.RNN(cells, return_state=True)
    stack.build((BATCH, TIME, FEATURES))
    stack.set_weights([weights for layer in apart for weights in layer.get_weights()])
    output, _, states = stack(sequences())
    for value, target in zip((output, *keras.tree.flatten(states)), expected, strict=True):
        assert_close(value, target)


@pytest.mark.backend_slow(kind=[KINDS["EventGRU, trace"], KINDS["DeltaGRU"]], policy=["mixed_bfloat16"])
@by_kind
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(kind, policy):
    full = kind.layer(**kind.continuous)
    expected = full(sequences())
    half = with_weights_of(kind.layer(**kind.continuous, dtype=policy), full)
    output = half(sequences())
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    assert {keras.backend.standardize_dtype(w.dtype) for w in half.weights} == {"float32"}
    assert_close(ops.cast(output, "float32"), expected, atol=0.03)


@on_other_backends
@by_kind
def test_saved_model_loads_as_it_was(kind, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            layers.Bidirectional(kind.layer(return_sequences=True)),
            layers.RNN([kind.cell(4, **kind.arguments), kind.cell(4, **kind.arguments)], return_sequences=True),
            kind.layer(4, use_bias=False),
        ]
    )
    expected = model(sequences())
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(sequences()), expected, atol=0)
