"""EventGRU and DeltaGRU in the place of keras.layers.GRU: its arguments, its dropout, its weights and its files."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn.layers import DeltaGRU, DeltaGRUCell, EventGRU, EventGRUCell, recurrence

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
# Where every unit sends its state, and nothing is held, the layers are that GRU.
LIMITS = {
    EventGRU: {"threshold_mode": "clipped", "threshold_initializer": keras.initializers.Constant(-2), "reset": False},
    DeltaGRU: {},
}
CELLS = {EventGRU: EventGRUCell, DeltaGRU: DeltaGRUCell}
KINDS = pytest.mark.parametrize("kind", LIMITS, ids=lambda kind: kind.__name__)


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def numpy(value):
    return ops.convert_to_numpy(value)


def trained(layer, weights):
    """Output in training and the weights after a step, of a model whose layer begins with the weights of a GRU."""
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
    layer.set_weights(weights)
    eagerly = keras.backend.backend() != "jax"  # a graph would take longer to build than to run
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y_true, y_pred: ops.sum(y_true * y_pred), run_eagerly=eagerly)
    output = numpy(layer(sequences(), training=True))
    model.train_on_batch(sequences(), np.ones(output.shape, "float32"))
    return [output, *layer.get_weights()[: len(weights)]]


DROPOUT = {"dropout": 0.4}, {"dropout": 0.3, "recurrent_dropout": 0.4}


@pytest.mark.backend_slow(as_cell=[False], rates=DROPOUT[1:])
@KINDS
@pytest.mark.parametrize("rates", DROPOUT, ids="-".join)
@pytest.mark.parametrize("as_cell", [False, True], ids=["layer", "cell"])
def test_dropout_is_that_of_keras(kind, rates, as_cell):
    weights = [np.random.default_rng(1).normal(size=s).astype("float32") for s in ((3, 15), (5, 15), (2, 15))]
    results = []
    for of_layer, of_cell, limit in ((layers.GRU, layers.GRUCell, {}), (kind, CELLS[kind], LIMITS[kind])):
        arguments = {**rates, **limit, "seed": 7}
        layer = layers.RNN(of_cell(UNITS, **arguments)) if as_cell else of_layer(UNITS, **arguments)
        if as_cell and limit:
            layer.set_weights = layer.cell.set_weights
        results.append(trained(layer, weights))
    assert not np.allclose(numpy(layer(sequences(), training=True)), numpy(layer(sequences())))
    for keras_value, value in zip(*results, strict=True):
        np.testing.assert_allclose(value, keras_value, rtol=1e-4, atol=1e-4)


@KINDS
@pytest.mark.parametrize(
    ("rates", "by_hand"), [({}, True), ({"dropout": 0.4}, True), ({"recurrent_dropout": 0.4}, False)]
)
def test_the_gradient_written_by_hand_serves_all_but_recurrent_dropout(kind, rates, by_hand, monkeypatch):
    passes = []
    original = recurrence.loops.with_gradient
    monkeypatch.setattr(recurrence.loops, "with_gradient", lambda f, *rest: passes.append(f) or original(f, *rest))
    kind(UNITS, **rates)(sequences(), training=True)
    of_states = [
        f for f in passes if "c" in f.__self__.recurrence.state_names or "h" in f.__self__.recurrence.state_names
    ]
    assert bool(of_states) == by_hand


GRU = {
    "units": UNITS,
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": False,
    "kernel_regularizer": keras.regularizers.L2(0.1),
    "activity_regularizer": keras.regularizers.L1(0.1),
    "recurrent_constraint": keras.constraints.MaxNorm(2),
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "seed": 3,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "zero_output_for_mask": True,
    "name": "mine",
    "dtype": "mixed_bfloat16",
    "trainable": False,
}


@KINDS
def test_takes_the_configuration_of_a_gru(kind):
    config = layers.GRU(**GRU, use_cudnn="auto", reset_after=True).get_config()
    own = kind.from_config(config).get_config()
    assert {name: own[name] for name in config if name != "unroll"} == {
        k: v for k, v in config.items() if k != "unroll"
    }


@KINDS
@pytest.mark.parametrize("stateful", [False, True])
def test_from_gru_has_its_weights_and_its_place(kind, stateful):
    gru = layers.GRU(UNITS, return_sequences=True, bias_initializer="glorot_uniform", stateful=stateful, name="mine")
    expected = numpy(gru(sequences()))
    layer = kind.from_gru(gru, **LIMITS[kind])
    assert (type(layer), layer.name, layer.return_sequences, layer.stateful) == (kind, "mine", True, stateful)
    np.testing.assert_allclose(numpy(layer(sequences())), expected, atol=1e-5)
    assert not kind.from_gru(layers.GRU(UNITS, unroll=True)).built


@KINDS
def test_what_cannot_be_taken_from_a_gru_is_refused(kind):
    with pytest.raises(ValueError, match="`layer` must be a keras.layers.GRU. Received: LSTM"):
        kind.from_gru(layers.LSTM(3))
    if kind is EventGRU:
        with pytest.raises(ValueError, match="`reset_after` must be True"):
            kind.from_gru(layers.GRU(3, reset_after=False))
    with pytest.raises(ValueError, match="`use_cudnn` must be 'auto' or False.*use_cudnn=True"):
        kind(3, use_cudnn=True)
    with pytest.raises(ValueError, match=r"`recurrent_dropout` must be in \[0, 1\)"):
        kind(3, recurrent_dropout=1.0)


def stack(layer, cell):
    """A model with such layers at every kind of place."""
    inner = keras.Sequential([keras.Input((TIME, FEATURES)), layer(4, return_sequences=True)])
    return keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            inner,
            layers.GRU(4, return_sequences=True),
            layer(4, return_sequences=True, use_bias=False),
            layers.Bidirectional(layer(2, return_sequences=True)),
            layers.RNN([cell(4), layers.LSTMCell(3)]),
            layers.Dense(2),
        ]
    )


@pytest.fixture(scope="module")
def stacks():
    """One of GRUs, one of DeltaGRUs, one of EventGRUs that all fire."""
    return (
        stack(layers.GRU, layers.GRUCell),
        stack(DeltaGRU, DeltaGRUCell),
        stack(
            lambda units, **arguments: EventGRU(units, **LIMITS[EventGRU], **arguments),
            lambda units: EventGRUCell(units, **LIMITS[EventGRU]),
        ),
    )


@pytest.mark.parametrize("form", ["model", "list", "gru.weights.h5", "gru.keras"])
def test_weights_of_a_model_with_grus_load(form, stacks, tmp_path):
    of_keras, *ours = stacks
    of_keras.set_weights([weights + 0.1 for weights in of_keras.get_weights()])
    path = tmp_path / form
    source = {"model": of_keras, "list": of_keras.get_weights()}.get(form, path)
    if form.endswith("h5"):
        of_keras.save_weights(path)
    elif form.endswith("keras"):
        of_keras.save(path)
    for model in ours:
        ksr.load_keras_weights(model, source)
        np.testing.assert_allclose(numpy(model(sequences())), numpy(of_keras(sequences())), atol=1e-5)
    assert np.all(ours[1].layers[0].layers[0].get_weights()[-1] == -2)


def test_keras_reads_a_gru_where_it_goes_by_place_and_says_what_to_do_where_by_name(tmp_path):
    path = tmp_path / "gru.weights.h5"
    of_keras = keras.Sequential([keras.Input((TIME, FEATURES)), layers.Bidirectional(layers.GRU(UNITS))])
    of_keras.save_weights(path)
    for kind, limit in LIMITS.items():
        model = keras.Sequential([keras.Input((TIME, FEATURES)), layers.Bidirectional(kind(UNITS, **limit))])
        model.load_weights(path)
        np.testing.assert_allclose(numpy(model(sequences())), numpy(of_keras(sequences())), atol=1e-5)
    keras.Sequential([keras.Input((TIME, FEATURES)), layers.GRU(UNITS)]).save_weights(path)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), EventGRU(UNITS)])
    with pytest.raises(ValueError, match="read it with `keras_sparse_rnn.load_keras_weights`"):
        model.load_weights(path)
    with pytest.raises(ValueError, match=r"without its thresholds, of the shapes \[\(3, 15\)"):
        ksr.load_keras_weights(model, [np.zeros((3, 15))])
