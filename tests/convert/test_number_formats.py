"""The number formats of `convert` besides int8: int16 activations, a scale for each output, events of 4 bits."""

import keras
import numpy as np
import pytest
from event_models import event_model, sequences
from keras.layers import GRU, LSTM, Dense, SimpleRNN
from zoo import ENGINES, converted, member

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.quantize import Scale, quantize
from keras_sparse_rnn.formats import INT8X16
from keras_sparse_rnn.layers import DeltaHold, EventGRU
from keras_sparse_rnn.ops.simple_rnn import SimpleRnn
from keras_sparse_rnn.runtime.model import Model


def test_int8x16_with_a_scale_for_each_gate():
    this, int8x16 = member("GRU"), converted("GRU", weights="int8x16")
    first, *others = [int8x16.predict(this.x, name) for name in ENGINES]
    for other in others:
        np.testing.assert_array_equal(first, other)
    for layer, int8 in zip(int8x16.report.layers, converted("GRU").report.layers, strict=True):
        assert layer.step_error < 0.75 * int8.step_error and not layer.output_scales


@pytest.mark.parametrize("layer", [GRU, LSTM, SimpleRNN, EventGRU])
def test_a_scale_for_each_output_helps_where_outputs_differ_in_range(layer):
    """Half of the units have weights of a fiftieth: at the scale of the others they would be two steps of int8."""
    model, x = event_model([layer(12, return_sequences=True)]), sequences()
    small = np.arange(12) % 2 == 0
    for variable in (model.layers[0].cell.kernel, model.layers[0].cell.recurrent_kernel):
        kernel = np.array(keras.ops.convert_to_numpy(variable))
        kernel.reshape(len(kernel), -1, 12)[..., small] /= 50
        variable.assign(kernel)
    expected = np.asarray(model(x))[..., small]
    errors = {}
    for scales in ("gate", "output"):
        int8x16 = ksr.convert(model, x, weights="int8x16", scales=scales)
        errors[scales] = np.abs(int8x16.predict(x)[..., small] - expected).mean()
        assert int8x16.report.layers[0].output_scales == (scales == "output")
    if layer is EventGRU:  # its small units are silent, in both alike
        assert errors["output"] <= errors["gate"]
    else:
        assert errors["output"] < errors["gate"] / 3


def test_holds_in_front_of_a_layer():
    model, x = event_model([DeltaHold(0.3), LSTM(9, return_sequences=True), Dense(3)]), sequences()
    int8x16 = ksr.convert(model, x, weights="int8x16", scales="output")
    assert int8x16.report.output_error < 0.002
    outputs = [int8x16.predict(x, engine) for engine in ENGINES[:3]]
    np.testing.assert_array_equal(outputs[0], outputs[1])


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [keras.layers.Conv1D(6, 3, activation="relu"), GRU(8, return_sequences=True), Dense(5, "softmax")],
        lambda: [keras.layers.Bidirectional(GRU(6, return_sequences=True)), keras.layers.GlobalAveragePooling1D()],
        lambda: [Dense(6, "tanh"), LSTM(5), Dense(4, "relu"), Dense(1, "sigmoid")],
    ],
)
def test_layers_around_recurrent_ones(layers):
    model, x = event_model(layers()), sequences()
    int8x16 = ksr.convert(model, x, weights="int8x16")
    expected = np.asarray(model(x))
    for engine in set(ENGINES) - {"reference", "native"}:
        assert np.abs(int8x16.predict(x, engine) - expected).mean() <= 0.003


@pytest.mark.parametrize("target", ["tflm", "litert"])
def test_a_pruned_dense_layer_stays_dense_with_int16_activations(target):
    model, x = event_model([GRU(40), Dense(64)]), sequences()
    kernel = np.array(model.layers[-1].kernel)
    model.layers[-1].kernel.assign(kernel * (np.random.default_rng(0).random(kernel.shape) < 0.05))
    report = ksr.convert(model, x, weights="int8x16", target=target).report
    assert [dense.stored for dense in report.dense] == ["dense"]
    assert "KsrSparseDense" not in report.inspection.register and "stored dense" in str(report)


def test_bytes_and_the_report():
    model, x = event_model([GRU(16, return_sequences=True)]), sequences()
    gate, output = (ksr.convert(model, x, scales=scales, verify=False) for scales in ("gate", "output"))
    assert len(gate.data) + 2 * 4 * 16 <= len(output.data) <= len(gate.data) + 2 * 4 * 16 + 200
    assert "a scale for each output" in str(output.report) and "a scale" not in str(gate.report)
    report = ksr.convert(model, x, weights="int8x16", verify=False).report
    of_x, of_state = report.layers[0].operand_bits
    assert f"multiplied with {of_x} bits of the input and {of_state} of the state" in str(report)
    assert min(of_x, of_state) >= 9


def test_operands_have_fewer_bits_where_accumulators_could_overflow():
    """As many inputs as 32 bits do not hold 15 bits of each of."""
    units, inputs = 8, 1200
    rng = np.random.default_rng(0)
    options = SimpleRnn.SCHEMA.options(units=units, block=4, go_backwards=0, return_sequences=1)
    kernel = np.sign(rng.normal(size=(inputs, 1, units))).astype(np.float32) / 100
    recurrent = rng.normal(size=(units, 1, units)).astype(np.float32) / 100
    bias = np.zeros((4, units), np.float32)
    op = quantize(
        SimpleRnn(options, kernel, recurrent, bias),
        "wide",
        Scale.of_range(-1, 1, 16),
        1.0,
        Scale.of_range(-1, 1, 16),
        INT8X16,
    )
    assert op.options.x_shift > 0
    assert np.abs(op.kernel.astype(int)).sum(axis=0).max() * (2**15 >> op.options.x_shift) < 2**31


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"weights": "int16"},
            r"weights must be one of \('int8', 'int8x16', 'int4', 'int4x16', 'float32'\); given: 'int16'",
        ),
        ({"scales": "channel"}, r"scales must be one of \('gate', 'output'\); given: 'channel'"),
        ({"weights": "float32", "scales": "output"}, "scales is for integers"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        ksr.convert(event_model([GRU(4)]), sequences(), **arguments)


def test_a_file_of_another_version_is_refused_with_what_to_do():
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from keras_sparse_rnn import runtime

    data = ksr.convert(event_model([GRU(4)]), sequences(), verify=False).data
    file = schema.ModelT.InitFromPackedBuf(data)
    options = np.array(file.subgraphs[0].operators[0].customOptions)
    options[0] = 1
    file.subgraphs[0].operators[0].customOptions = options
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    for engine in ENGINES:
        with pytest.raises(ValueError, match="version|[Rr]efused|cannot load"):
            runtime.load(bytes(builder.Output()), engine)
    with pytest.raises(ValueError, match="have the version 1; allowed: 3. Convert the Keras model again"):
        runtime.load(bytes(builder.Output()), "native")
    assert Model(data).operators
