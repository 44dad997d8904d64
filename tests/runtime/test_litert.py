"""Our ops in LiteRT and in tf.lite."""

import numpy as np
import pytest
from adapter_models import (
    between_dense_layers,
    edited,
    errors_op_by_op,
    short_bias,
    sparse_constant,
    unknown_op,
    with_state,
    wrong_options,
    wrong_word,
)
from ai_edge_litert import interpreter as litert
from random_models import KINDS, random_op

from keras_sparse_rnn import runtime
from keras_sparse_rnn.runtime import litert as engine_module
from keras_sparse_rnn.runtime.native import library_path

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")

by_kind = pytest.mark.parametrize("kind", KINDS)


def _sequence(seed=0):
    return np.random.default_rng(seed).integers(-128, 128, (1, 9, 6)).astype(np.int8)


@by_kind
@pytest.mark.parametrize(
    ("bits", "first"),
    [(8, 0), (16, 0), *(pytest.param(8, first, marks=pytest.mark.slow) for first in range(50, 200, 50))],
)
def test_integers_equal_the_reference_bit_for_bit(kind, bits, first):
    for seed in range(first, first + 50):
        op = random_op(seed, kind=kind, activation_bits=bits)
        model = op.to_model()
        ours, reference = (runtime.load(model, engine).invoke([op.x[None]]) for engine in ("litert", "reference"))
        np.testing.assert_array_equal(ours, reference, err_msg=op.label)


@by_kind
def test_float32_equals_the_native_core_bit_for_bit(kind):
    for seed in range(25):
        op = random_op(seed, np.float32, kind)
        model = op.to_model()
        ours, native = (runtime.load(model, engine).invoke([op.x[None]]) for engine in ("litert", "native"))
        np.testing.assert_array_equal(ours, native, err_msg=op.label)


def test_between_builtin_ops():
    model = between_dense_layers(all_outputs=True)
    outputs = runtime.load(model, "litert").invoke([_sequence()])
    for name, error in errors_op_by_op(model, _sequence(), outputs):
        assert error <= (0 if name in KINDS else 1), name
    _, events, *states, _, _ = outputs
    assert 0.1 < np.mean(events != -5) < 0.9  # some units fire, some do not
    assert all(np.std(state) > 5 for state in states)


def test_tensors_between_ops_need_not_be_outputs():
    ours, observed = (
        runtime.load(between_dense_layers(all_outputs), "litert").invoke([_sequence()])[-1]
        for all_outputs in (False, True)
    )
    np.testing.assert_array_equal(ours, observed)


@pytest.mark.parametrize("xnnpack", [True, False])
def test_builtin_ops_keep_their_results(xnnpack):
    model = between_dense_layers(all_outputs=True)
    kinds = litert.OpResolverType
    interpreter = litert.Interpreter(
        model_content=model,
        experimental_op_resolver_type=kinds.BUILTIN if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_delegates=[litert.load_delegate(str(library_path()))],
    )
    engine = runtime.load(model, "litert")
    for theirs, ours in zip(_run(interpreter, _sequence()), engine.invoke([_sequence()]), strict=True):
        assert np.abs(theirs.astype(int) - ours.astype(int)).max() <= 1


def test_the_delegate_runs_in_tf_lite():
    lite = pytest.importorskip("tensorflow").lite
    model = between_dense_layers(all_outputs=True)
    delegate = lite.experimental.load_delegate(str(library_path()))
    outputs = _run(lite.Interpreter(model_content=model, experimental_delegates=[delegate]), _sequence())
    for theirs, ours in zip(outputs, runtime.load(model, "litert").invoke([_sequence()]), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def _run(interpreter, x):
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


@by_kind
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_state_lives_in_variable_tensors(kind, dtype):
    model, op = with_state(kind, dtype)
    engine = runtime.load(model, "litert")
    whole = op.op(op.x)
    for _ in range(2):
        chunks = [engine.invoke([op.x[None, i : i + 3]])[0][0] for i in (0, 3, 6)]
        np.testing.assert_allclose(np.concatenate(chunks), whole, atol=0 if dtype == np.int8 else 1e-5)
        engine.reset()
    assert np.any(engine.invoke([op.x[None, 6:]])[0][0] != chunks[-1])  # the state does matter


def test_threads_do_not_change_results():
    model = between_dense_layers(all_outputs=False)
    one, two = (runtime.load(model, "litert", num_threads=n).invoke([_sequence()])[0] for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (wrong_options, "KsrEventGru refused: the custom options have the wrong size."),
        (wrong_word, r"KsrEventGru refused: block \(word 3\) is 5; allowed: 4 to 16."),
        (short_bias, r"KsrEventGru refused: bias \(input 7\) has the wrong shape; given: \(4\)."),
        (sparse_constant, "op KsrEventGru reads tensor ., which is in a sparse encoding"),
        (unknown_op, "NobodysOp"),
    ],
)
def test_refused_models(edit, message):
    with pytest.raises(ValueError, match=message):
        runtime.load(edited(random_op(1).to_model(), edit), "litert")


def test_num_threads_must_be_positive():
    with pytest.raises(ValueError, match="num_threads must be at least 1; given: 0"):
        runtime.load(random_op(0).to_model(), "litert", num_threads=0)


def test_the_delegate_takes_no_options():
    with pytest.raises(ValueError, match="takes no options"):
        litert.load_delegate(str(library_path()), {"speed": "11"})


def test_builtin_ops_alone_need_no_core(monkeypatch):
    def missing():
        raise RuntimeError("no core")

    monkeypatch.setattr(engine_module, "library_path", missing)
    model = between_dense_layers(all_outputs=False)

    def keep_first_dense(file):
        graph = file.subgraphs[0]
        graph.operators = graph.operators[:1]
        graph.outputs = graph.operators[0].outputs
        file.signatureDefs = []

    dense = runtime.load(edited(model, keep_first_dense), "litert").invoke([_sequence()])[0]
    assert dense.shape == (1, 9, 12)
    with pytest.raises(RuntimeError, match="no core"):
        runtime.load(model, "litert")
