"""Reading `.tflite` files, and what is refused."""

import numpy as np
import pytest
from adapter_models import edited
from random_models import KINDS, random_op

import keras_sparse_rnn as ksr
from keras_sparse_rnn import runtime
from keras_sparse_rnn.ops.block_sparse import decode, encode
from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.tflite_file import ModelFile


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (40, 70), (3, 2100)])
def test_matrices_survive_encoding(block, density, shape):
    """Also ragged ones, empty ones, and distances over 255 blocks."""
    sources, units = shape
    rng = np.random.default_rng(0)
    kernel = rng.integers(-128, 128, (sources, 3, units)) * (rng.random((sources, 3, units)) < density)
    kernel = kernel.astype(np.int8)
    for slots in ((0, 1, 2), (0, 1, 3), (0, 1), (0,)):
        gates = kernel[:, : len(slots)]
        for sparse in (True, False):
            matrix = encode(gates, block, slots, sparse)
            np.testing.assert_array_equal(decode(matrix, sources, units, block, slots), gates)


def test_smaller_storage_is_taken():
    kernel = np.zeros((32, 3, 64), np.int8)
    kernel[:, :, :4] = 1
    assert encode(kernel, 4, (0, 1, 2)).index is not None
    assert encode(np.ones((32, 3, 64), np.int8), 4, (0, 1, 2)).index is None


@pytest.mark.parametrize("kind", KINDS)
def test_ops_survive_packing(kind):
    for seed in range(20):
        op = random_op(seed, kind=kind).op
        for sparse in (True, False):
            back = type(op).from_constants(
                op.SCHEMA.decode(op.options.to_bytes()), op.constants(sparse), len(op.kernel)
            )
            assert back.options == op.options
            for field in ("kernel", "recurrent_kernel", "bias"):
                np.testing.assert_array_equal(getattr(back, field), getattr(op, field))


def test_tensors_are_quantized_and_read_back():
    tensor = TensorInfo("x", (1, 3), np.dtype(np.int8), 0.5, -10)
    stored = tensor.quantize([[-1.0, 0.2, 1e9]])
    np.testing.assert_array_equal(stored, [[-12, -10, 127]])
    np.testing.assert_array_equal(tensor.dequantize(stored), np.float32([[-1, 0, 68.5]]))


def test_model_is_read():
    op = random_op(5)
    model = Model(op.to_model())
    assert [tensor.name for tensor in model.inputs + model.outputs] == ["x", "y"]
    assert model.inputs[0].shape == (1, *op.x.shape) and model.outputs[0].shape == op.output_shape
    assert model.operators[0].name == "KsrEventGru" and model.operators[0].is_custom


@pytest.mark.parametrize("engine", ["native", "reference", "litert", "tflm"])
@pytest.mark.parametrize("data", [b"", b"no model at all", b"\x1c\0\0\0TFL3" + b"\xff" * 40])
def test_what_is_no_model_is_refused(engine, data):
    with pytest.raises(ValueError, match="model"):
        runtime.load(data, engine)


def test_truncated_models_are_refused():
    data = random_op(5).to_model()
    for size in range(8, len(data) - 1, 97):
        with pytest.raises(ValueError, match="model|refused|options"):
            runtime.load(data[:size], "native")


@pytest.mark.parametrize("read", [lambda data: runtime.load(data, "native"), ksr.inspect, ModelFile])
@pytest.mark.parametrize("offset", [860636732, 2**31 - 1])
def test_offsets_that_lead_out_of_a_file_are_damage(read, offset):
    data = offset.to_bytes(4, "little") + random_op(5).to_model()[4:]
    with pytest.raises(ValueError, match=rf"^model is damaged: an offset in it leads out of its {len(data)} bytes\. "):
        read(data)


def test_an_op_for_nothing_is_refused():
    def edit(file):
        file.subgraphs[0].outputs = file.subgraphs[0].inputs

    with pytest.raises(ValueError, match="nothing reads what op KsrEventGru writes"):
        Model(edited(random_op(5).to_model(), edit))


def test_unknown_engine_and_missing_file(tmp_path):
    with pytest.raises(ValueError, match="engine must be one of.*'native'.*given: 'gpu'"):
        runtime.load(b"", "gpu")
    with pytest.raises(FileNotFoundError):
        runtime.load(tmp_path / "none.tflite")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3, 4), np.float32), "shape.*given: \\(2, 3, 4\\)"),
        ([np.zeros(3), np.zeros(3)], "1 arrays, one for each input; given: 2"),
        ({"z": np.zeros(3)}, r"keys \['x'\]; given: \['z'\]"),
    ],
)
def test_wrong_inputs_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        runtime.load(random_op(5).to_model(), "native").predict(x)


def test_constants_lie_at_multiples_of_16_bytes():
    op = random_op(5)
    data = op.to_model()
    for tensor in Model(data).tensors:
        if tensor.data is not None and tensor.data.nbytes > 16:
            assert data.index(tensor.data.tobytes()) % 16 == 0, tensor.name
