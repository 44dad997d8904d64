"""Models in plain C: what streams, what is compared, and what is refused."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from adapter_models import DenseWriter, small_op, sparse_fully_connected
from ai_edge_litert import schema_py_generated as schema
from random_graphs import GraphWriter
from random_models import RandomOp

from keras_sparse_rnn import runtime
from keras_sparse_rnn.convert.converted_model import ConvertedModel
from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.firmware import FRAMEWORKS, host_check, plain_c, qemu, save_firmware
from keras_sparse_rnn.firmware.bench import bench
from keras_sparse_rnn.firmware.plain_c import PlainC
from keras_sparse_rnn.ops.event_gru import EventGru
from keras_sparse_rnn.runtime.model import Model

needs_compiler = pytest.mark.skipif(host_check.compiler() is None, reason="no C compiler")


def _built(build, dtype=np.int8):
    """The model that `build(writer, x)` makes of an input of 10 steps of 5 values."""
    writer = GraphWriter(dtype, np.random.default_rng(0))
    x = writer.input((1, 10, 5))
    return Model(writer.finish({"x": x}, {"y": build(writer, x)}))


def _gru(writer, x, return_sequences=1, go_backwards=0):
    """A GRU of 12 units."""
    tensor = writer.tensors[x]
    (_, steps, inputs), dtype, zero = tensor.shape, tensor.dtype, tensor.zero_point or 0
    op = small_op("KsrGru", inputs, dtype, seed=2, x_zero_point=zero).op
    op = replace(op, options=replace(op.options, return_sequences=return_sequences, go_backwards=go_backwards))
    scale = (1 / 128, op.options.output_zero_point) if dtype == np.int8 else None
    y = writer.add_tensor("gru", (1, steps, 12) if return_sequences else (1, 12), dtype, scale=scale)
    writer.add_recurrent("gru", op, op.constants(), x, y)
    return y


def _last(writer, x, **options):
    return _gru(writer, x, return_sequences=0, **options)


# What a model is made of, and the shapes of its tensors in one step (None: it takes whole sequences).
GRAPHS = {
    "reshape of the last output": (
        lambda w, x: w.dense(w.reshape(_last(w, x), (1, 4, 3)), 2),
        [(1, 1, 5), (1, 12), (1, 4, 3), (1, 4, 2)],
    ),
    "a second layer over the last output": (lambda w, x: _last(w, w.reshape(_last(w, x), (1, 1, 12))), None),
    "features in two axes": (
        lambda w, x: _last(w, w.reshape(w.softmax(w.reshape(_gru(w, x), (1, 10, 3, 4))), (1, 10, 12))),
        [(1, 1, 5), (1, 1, 12), (1, 1, 3, 4), (1, 1, 3, 4), (1, 1, 12), (1, 12)],
    ),
    "steps and features in one axis": (
        lambda w, x: w.reshape(w.dense(w.reshape(_gru(w, x), (30, 4)), 2), (1, 10, 6)),
        [(1, 1, 5), (1, 1, 12), (3, 4), (3, 2), (1, 1, 6)],
    ),
    "time and features changed over": (lambda w, x: _last(w, w.reshape(x, (1, 5, 10))), None),
    "a causal convolution": (
        lambda w, x: _last(w, w.squeeze(w.convolution(w.expand_dims(w.pad(x, 1, 4), 1), 6, 3, dilation=2), 1)),
        [(1, 1, 5), (1, 5, 5), (1, 1, 5, 5), (1, 1, 1, 6), (1, 1, 6), (1, 12)],
    ),
    "a convolution to both sides": (
        lambda w, x: _last(w, w.squeeze(w.convolution(w.expand_dims(w.pad(x, 1, 1, 1), 1), 6, 3), 1)),
        None,
    ),
    "the last step": (lambda w, x: w.dense(w.last(_gru(w, x)), 2), [(1, 1, 5), (1, 1, 12), (1, 12), (1, 2)]),
    "the largest over time": (lambda w, x: w.dense(w.mean(_gru(w, x), [1], False, "REDUCE_MAX"), 9), None),
    "the mean over time": (lambda w, x: w.dense(w.mean(_gru(w, x), [1], False), 9), None),
    "the mean over features": (
        lambda w, x: w.mean(w.reshape(_gru(w, x), (1, 10, 3, 4)), [2], False),
        [(1, 1, 5), (1, 1, 12), (1, 1, 3, 4), (1, 1, 4)],
    ),
    "softmax over time": (lambda w, x: w.softmax(w.reshape(w.dense(_gru(w, x), 1), (1, 10))), None),
    "backwards": (lambda w, x: _last(w, x, go_backwards=1), None),
}
OBSTACLES = {
    "a second layer over the last output": "KsrGru of 'y' goes over another axis than time",
    "time and features changed over": "RESHAPE takes the time axis of (1, 10, 5) apart",
    "a convolution to both sides": "PAD of 'tensor_2' puts steps behind or into a sequence",
    "the largest over time": "REDUCE_MAX goes over the time axis",
    "the mean over time": "MEAN goes over the time axis",
    "softmax over time": "SOFTMAX goes over the time axis",
    "backwards": "KsrGru of 'y' goes backwards",
}


@needs_compiler
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_time_axis_is_followed(name, dtype, kernels, tmp_path):
    build, shapes = GRAPHS[name]
    model = _built(build, dtype)
    code = PlainC(model)
    assert code.time.obstacle == OBSTACLES.get(name)
    assert code.is_streaming == (shapes is not None)
    if shapes is not None:
        assert [code.shapes[i] for i in code.computed] == shapes
    kernels.write_beside(code, tmp_path)
    sequences = host_check.noise(code)
    litert, spread = runtime.load(model, "litert"), 0
    for sequence, (outputs,) in zip(sequences, kernels.check(code, tmp_path, sequences), strict=True):
        x = sequence[0].reshape(-1, *model.inputs[0].shape)
        expected = np.concatenate([litert.invoke([chunk])[0] for chunk in x]).astype(float)
        y = outputs if code.outputs[0].steps > 1 or not code.is_streaming else outputs[-1:]
        # One step of the scale for each op that is not ours.
        tolerance = 1e-4 if dtype == np.float32 else 3
        np.testing.assert_allclose(y.ravel(), expected.ravel(), rtol=0, atol=tolerance)
        spread = max(spread, np.ptp(expected))
    assert spread > 4 * tolerance


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "x_scale", "tolerance"),  # LiteRT's tables of 16 bits are coarser than ours, and end sooner
    [(np.float32, None, 1e-6), (np.int8, 1 / 16, 1), (np.int16, 2**-13, 3), (np.int16, 2**-11, 12)],
)
@pytest.mark.parametrize("axis", [1, -1])
def test_tanh_and_logistic_side_by_side(dtype, x_scale, tolerance, axis, kernels, tmp_path):
    """From end to end of the input's range; the operations of 16 bits are held to one step by the check itself."""
    writer, options = ModelWriter(), schema.ConcatenationOptionsT()
    options.axis = axis
    scales = {
        "TANH": {np.int8: (1 / 128, 0), np.int16: (2**-15, 0)}.get(dtype),
        "LOGISTIC": {np.int8: (1 / 256, -128), np.int16: (2**-15, 0)}.get(dtype),
    }
    x = writer.add_tensor("x", (1, 6, 512), dtype, scale=x_scale and (x_scale, 0))
    names = ["TANH", "TANH"] if dtype == np.int8 else ["TANH", "LOGISTIC"]
    parts = [writer.add_tensor(f"part_{i}", (1, 6, 512), dtype, scale=scales[name]) for i, name in enumerate(names)]
    for name, part in zip(names, parts, strict=True):
        writer.add_operator(name, [x], [part])
    shape = (1, 12, 512) if axis == 1 else (1, 6, 1024)
    y = writer.add_tensor("y", shape, dtype, scale=scales["TANH"])
    writer.add_operator("CONCATENATION", parts, [y], options)
    model = Model(writer.finish({"x": x}, {"y": y}))
    code = PlainC(model, allow_streaming=False)
    kernels.write_beside(code, tmp_path)
    limits = (-8, 8) if dtype == np.float32 else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = np.linspace(*limits, 6 * 512).astype(dtype)[None]
    [(outputs,)] = kernels.check(code, tmp_path, [[values]])
    [expected] = runtime.load(model, "litert").invoke([values.reshape(1, 6, 512)])
    np.testing.assert_allclose(outputs.ravel().astype(float), expected.ravel().astype(float), rtol=0, atol=tolerance)


def _dense(writer, x):
    return writer.dense(_gru(writer, x), 3)


# What is wrong with the C, and what is said about it.
FAULTS = {
    "a weight": (r"(op_0_recurrent_kernel\[\d+\] = \{\n    )-?\d+", r"\g<1>99", "in KsrGru"),
    "a layer": (
        r"ksr_dense_i8\(&op_1",
        "(void)(&op_1",
        "in FULLY_CONNECTED 'y': 23 of 30 values, by up to 16 steps of its scale; allowed: 1",
    ),
    "where the output goes": (r"memcpy\(y,", "memcpy(y + 1,", "writes past the end of an output"),
    "no reset": (r"model_reset\(\);\n  for", "for", "model_run gives other values of 'y' than model_step"),
}


def _edit_sources(monkeypatch, edit):
    """Has `edit` change the text of every generated C source."""
    render = plain_c.render

    def render_edited(template, **values):
        text = render(template, **values)
        return edit(text) if template.endswith(".c") else text

    monkeypatch.setattr(plain_c, "render", render_edited)


@needs_compiler
@pytest.mark.parametrize("fault", FAULTS)
def test_c_that_is_wrong_is_not_written(fault, tmp_path, monkeypatch):
    before, after, message = FAULTS[fault]

    def spoil(source):
        source, count = re.subn(before, after, source)
        assert count == 1
        return source

    _edit_sources(monkeypatch, spoil)
    with pytest.raises(host_check.MismatchError, match=re.escape(message)):
        save_firmware(_built(_dense), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@needs_compiler
def test_recorded_inputs_are_compared(tmp_path, monkeypatch):
    seen = []
    check = host_check.check
    monkeypatch.setattr(host_check, "check", lambda *args: seen.append(args[2]) or check(*args))
    model = _built(_dense)
    x = np.random.default_rng(0).normal(size=(2, 10, 5))
    assert save_firmware(model, tmp_path / "new", inputs=x).is_verified
    assert ConvertedModel(model.data, None, [x + 1]).save_firmware(tmp_path / "converted").is_verified
    for sequences, inputs in zip(seen, (x, x + 1), strict=True):
        np.testing.assert_array_equal(np.array(sequences)[:, 0], model.inputs[0].quantize(inputs))
    with pytest.raises(ValueError, match=r"input 'x' must have the shape \('samples', 10, 5\).*; given: \(2, 10, 4\)"):
        save_firmware(model, tmp_path / "other", inputs=x[..., :4])


def test_without_a_compiler_the_project_is_unverified(tmp_path, monkeypatch):
    monkeypatch.setattr(host_check, "compiler", lambda: None)
    firmware = save_firmware(_built(_dense), tmp_path / "new")
    assert firmware.is_verified is False and (tmp_path / "new" / "model.c").exists()
    assert (
        str(firmware).splitlines()[-1]
        == "  UNVERIFIED: no C compiler on this computer to compare it with the NumPy engine"
    )


def test_a_compiler_is_looked_for(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert host_check.compiler() is None
    monkeypatch.setattr(shutil, "which", lambda name: name if name in ("clang", "ccache") else None)
    assert host_check.compiler() == ["clang"]
    monkeypatch.setenv("CC", "ccache gcc")
    assert host_check.compiler() == ["ccache", "gcc"]


@pytest.mark.skipif(bool(qemu.missing_tools()), reason=f"{', '.join(qemu.missing_tools())} not installed")
def test_what_a_board_gives_is_compared_with_the_engine(monkeypatch):
    _edit_sources(monkeypatch, lambda source: source.replace("ksr_dense_i8(&op_1", "(void)(&op_1"))
    with pytest.raises(host_check.MismatchError, match="in FULLY_CONNECTED"):
        bench(_built(_dense))


def _at_its_threshold(distance):
    """An EventGRU of one unit whose state at each step is above its threshold by so much; and that threshold."""
    zeros, x = np.zeros((1, 3, 1), np.float32), np.zeros((4, 1), np.float32)
    bias = np.array([[-50], [0], [0], [0.5]], np.float32)  # z = 0: the state is the candidate
    options = EventGru.SCHEMA.options(units=1, block=4, return_sequences=1)
    op = EventGru(options, zeros, zeros, bias, np.zeros(1, np.float32))
    op = replace(op, threshold=op(x)[0] - np.float32(distance))
    assert op(x).all()
    return Model(RandomOp(op, op.constants(), x, "").to_model()), float(op.threshold[0])


@pytest.mark.parametrize("distance", [1e-7, 1e-3])
def test_floats_are_compared_unless_rounding_decides(distance, kernels, tmp_path):
    model, threshold = _at_its_threshold(distance)
    code = PlainC(model)
    higher = float(np.float32(threshold + 2 * distance))
    code.source = code.source.replace(threshold.hex(), higher.hex())  # so that it does not fire
    kernels.write_beside(code, tmp_path)
    is_rounding = distance < 1e-6
    with pytest.warns(match="rounding decides") if is_rounding else pytest.raises(host_check.MismatchError):
        assert not any(y.any() for (y,) in kernels.check(code, tmp_path))


def _hybrid():
    """What TensorFlow Lite's dynamic-range quantization makes: float activations, int8 weights."""
    writer = DenseWriter()
    x, y = (writer.add_tensor(name, (1, size), np.float32) for name, size in (("x", 6), ("y", 4)))
    weights = writer.add_tensor("weights", (4, 6), np.int8, data=np.ones((4, 6), np.int8), scale=(0.1, 0))
    writer.add_operator("FULLY_CONNECTED", [x, weights], [y], schema.FullyConnectedOptionsT())
    return writer.finish({"x": x}, {"y": y})


MISREAD = {
    "sparse float32": (sparse_fully_connected(np.float32), "'weights' is stored in the sparse encoding of LiteRT"),
    "sparse int8": (sparse_fully_connected(np.int8), "'weights' is stored in the sparse encoding of LiteRT"),
    "dynamic range": (_hybrid(), "tensor 'weights': its weights must be float32 where 'x' is float32; given: int8"),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("kind", MISREAD)
def test_weights_that_would_be_misread_are_refused_by_name(kind, framework, tmp_path, monkeypatch):
    data, message = MISREAD[kind]
    monkeypatch.setitem(sys.modules, "tflite_micro", None)  # which would refuse them
    with pytest.raises(ValueError, match=re.escape(message)):
        save_firmware(data, tmp_path / "new", framework)
    assert not (tmp_path / "new").exists()


@needs_compiler
@pytest.mark.parametrize("streaming", [True, False])
def test_the_program_of_several_inputs_and_outputs_builds_and_runs(streaming, tmp_path):
    writer = GraphWriter(np.int8, np.random.default_rng(0))
    audio, speaker = writer.input((1, 10, 5)), writer.input((1, 4))
    word = (_gru if streaming else _last)(writer, audio, go_backwards=0 if streaming else 1)
    model = Model(
        writer.finish({"audio": audio, "speaker id": speaker}, {"word": word, "gain": writer.dense(speaker, 2)})
    )
    firmware = save_firmware(model, tmp_path / "new")
    call = "step" if streaming else "run"
    size = (5, 12) if streaming else (50, 12)
    signature = f"void model_{call}(const int8_t x_audio[{size[0]}], const int8_t x_speaker_id[4], "
    assert f"{signature}int8_t y_word[{size[1]}], int8_t y_gain[2]);" in (tmp_path / "new/model.h").read_text()
    sources = [*firmware.folder.glob("*.c"), *firmware.folder.glob("ksr/*.c")]
    strict = ("-std=c99", "-Wall", "-Wextra", "-Werror")
    subprocess.run([*host_check.compiler(), *strict, *sources, "-o", tmp_path / "program"], check=True)
    printed = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True).stdout.splitlines()
    zeros = [np.zeros(tensor.shape, np.int8) for tensor in model.inputs]
    words, gain = runtime.load(model, "reference").invoke(zeros)
    expected = [[*row, *gain[0]] for row in words.reshape(-1, 12)]
    np.testing.assert_array_equal([[int(n) for n in line.split()] for line in printed], expected)
