"""Numbers that are none, and those outside their range, are refused where they are given."""

import inspect
from typing import Any, get_args, get_type_hints

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn import callbacks, firmware, initializers, optimizers, profiling, regularizers, schedules, sparsity
from keras_sparse_rnn.convert.options import ConvertOptions
from keras_sparse_rnn.typing import check_flag, is_integer, is_number

NONE_OF_THEM = ("0.5", [0.5], object(), True, float("nan"), 1j, np.bool_(True))
FIXED = schedules.ConstantSparsity(0.5, begin_step=0)


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((3, 4)), layers.GRU(4)])


# What takes a number: (name in the message, function of the number and a model).
NUMBERS = [
    ("sparsity", lambda value, model: ksr.prune(model, value)),
    ("initial_step", lambda value, model: ksr.Pruner(model, FIXED, initial_step=value)),
    ("block_shape", lambda value, model: ksr.prune(model, 0.5, (1, value))),
    ("pattern", lambda value, model: ksr.prune(model, 0.5, pattern=(value, 4))),
    ("gate_density", lambda value, model: ksr.prune(model, 0.5, gate_density={"z": 0.5, "r": 0.5, "h": value})),
    ("target_sparsity", lambda value, model: schedules.ConstantSparsity(value, begin_step=0)),
    ("begin_step", lambda value, model: schedules.ConstantSparsity(0.5, begin_step=value)),
    ("end_step", lambda value, model: schedules.ConstantSparsity(0.5, begin_step=0, end_step=value)),
    ("frequency", lambda value, model: schedules.ConstantSparsity(0.5, begin_step=0, frequency=value)),
    ("begin", lambda value, model: schedules.PolynomialDecay(0, 0.5, begin=value, end=1)),
    ("end", lambda value, model: schedules.PolynomialDecay(0, 0.5, begin=0, end=value)),
    ("initial_sparsity", lambda value, model: schedules.PolynomialDecay(value, 0.5, 0, 9)),
    ("final_sparsity", lambda value, model: schedules.PolynomialDecay(0, value, 0, 9)),
    ("power", lambda value, model: schedules.PolynomialDecay(0, 0.5, 0, 9, power=value)),
    ("steps", lambda value, model: FIXED.resolve(value)),
    ("epochs", lambda value, model: FIXED.resolve(9, value)),
    ("initial_fraction", lambda value, model: schedules.CosineDecay(value, 0, 0, 9)),
    ("final_fraction", lambda value, model: schedules.CosineDecay(0.5, value, 0, 9)),
    ("ramp_step", lambda value, model: schedules.RampThreshold(0, value, 9, q=0.1)),
    ("q", lambda value, model: schedules.RampThreshold(0, 5, 9, q=value)),
    ("theta", lambda value, model: schedules.RampThreshold(0, 5, 9, theta=value)),
    ("phi", lambda value, model: schedules.RampThreshold(0, 5, 9, q=0.1, phi=value)),
    ("quantile", lambda value, model: schedules.RampThreshold.from_model(model, 0, 5, 9, quantile=value)),
    ("density", lambda value, model: callbacks.RigL(value)),
    ("drop_fraction", lambda value, model: callbacks.SET(0.5, value)),
    ("seed", lambda value, model: callbacks.SelfishRNN(0.5, seed=value)),
    ("picture_freq", lambda value, model: callbacks.SparsityLogger(picture_freq=value)),
    ("interval", lambda value, model: optimizers.SNTASGD(0.1, interval=value)),
    ("mean", lambda value, model: initializers.Beta(mean=value)),
    ("beta", lambda value, model: initializers.Beta(beta=value)),
    ("strength", lambda value, model: regularizers.EventPenalty(value)),
    ("target", lambda value, model: regularizers.EventPenalty(on="rate", target=value)),
    ("strength", lambda value, model: regularizers.BlockGroupLasso(value)),
    ("gates", lambda value, model: regularizers.BlockGroupLasso(0.1, gates=value)),
    ("strength", lambda value, model: regularizers.UnitGroupLasso(value)),
    ("units", lambda value, model: ksr.layers.EventGRU(value)),
    ("surrogate_height", lambda value, model: ksr.layers.EventGRU(4, surrogate_height=value)),
    ("surrogate_width", lambda value, model: ksr.layers.EventGRU(4, surrogate_width=value)),
    ("trace_decay", lambda value, model: ksr.layers.EventGRU(4, trace_decay=value)),
    ("dropout", lambda value, model: ksr.layers.EventGRU(4, dropout=value)),
    ("threshold", lambda value, model: ksr.layers.DeltaGRU(4, input_threshold=value)),
    ("surrogate_width", lambda value, model: ksr.layers.DeltaHold(0.1, surrogate_width=value)),
    ("depth", lambda value, model: ksr.layers.RecurrentHighway(4, depth=value)),
    ("chunk_size", lambda value, model: ksr.layers.ONLSTM(4, value)),
]


@pytest.mark.parametrize(("name", "take"), NUMBERS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(NUMBERS)])
def test_what_is_no_number_or_outside_its_range_is_refused(name, take, model):
    before = model.get_weights()
    for value in (*NONE_OF_THEM, -7, float("inf")):
        if name == "threshold" and value == [0.5]:  # one for each channel
            continue
        with pytest.raises(ValueError, match=name):
            take(value, model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# What takes True or False: (name in the message, function of the flag and a model).
FLAGS = [
    ("keep_diagonal", lambda value, model: callbacks.MagnitudePruning(FIXED, keep_diagonal=value)),
    ("keep_diagonal", lambda value, model: callbacks.ThresholdPruning(lambda step: (True, 0), keep_diagonal=value)),
    ("keep_diagonal", lambda value, model: callbacks.SET(0.1, keep_diagonal=value)),
    ("keep_diagonal", lambda value, model: ksr.prune(model, 0.5, keep_diagonal=value)),
    ("keep_diagonal", lambda value, model: ksr.Pruner(model, FIXED, keep_diagonal=value)),
    ("keep_diagonal", lambda value, model: sparsity.Masks(sparsity.find_kernels(model)[0], keep_diagonal=value)),
    ("keep_zeros", lambda value, model: callbacks.MagnitudePruning(FIXED, keep_zeros=value)),
    ("keep_zeros", lambda value, model: callbacks.ThresholdPruning(lambda step: (True, 0.1), keep_zeros=value)),
    ("active", lambda value, model: regularizers.BlockGroupLasso(0.1, active=value)),
    ("frozen", lambda value, model: sparsity.find_kernels(model, frozen=value)),
    ("partial", lambda value, model: profiling.count_macs(model, np.zeros((1, 3, 4)), partial=value)),
    ("verbose", lambda value, model: ksr.to_delta(model, np.zeros((1, 3, 4)), verbose=value)),
    ("reset", lambda value, model: ksr.layers.EventGRU(4, reset=value)),
    ("reset_gate", lambda value, model: ksr.layers.EventGRU(4, reset_gate=value)),
    ("reset_after", lambda value, model: ksr.layers.EventGRU(4, reset_after=value)),
    ("carry_cell", lambda value, model: ksr.layers.EventGRU(4, carry_cell=value)),
    ("use_bias", lambda value, model: ksr.layers.EventGRU(4, use_bias=value)),
    ("use_bias", lambda value, model: ksr.layers.LightGRU(4, use_bias=value)),
    ("trainable_threshold", lambda value, model: ksr.layers.EventGRU(4, trainable_threshold=value)),
    ("trainable_threshold", lambda value, model: ksr.layers.DeltaGRU(4, trainable_threshold=value)),
    ("trainable_threshold", lambda value, model: ksr.layers.DeltaHold(0.1, trainable_threshold=value)),
    ("unit_forget_bias", lambda value, model: ksr.layers.DeltaLSTM(4, unit_forget_bias=value)),
    ("unit_forget_bias", lambda value, model: ksr.layers.ONLSTM(4, 2, unit_forget_bias=value)),
    ("use_bias", lambda value, model: ksr.layers.ONLSTM(4, 2, use_bias=value)),
    ("coupled", lambda value, model: ksr.layers.RecurrentHighway(4, coupled=value)),
    ("use_bias", lambda value, model: ksr.layers.RecurrentHighway(4, use_bias=value)),
    ("stateful", lambda value, model: ksr.layers.FrameGate(0.1, stateful=value)),
    ("stateful", lambda value, model: ConvertOptions(stateful=value)),
    ("verify", lambda value, model: ConvertOptions(verify=value)),
]


@pytest.mark.parametrize(("name", "take"), FLAGS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(FLAGS)])
def test_a_flag_is_true_or_false(name, take, model):
    for value in ("yes", "", 1, 0, [True], np.ones(1, bool)):
        with pytest.raises(ValueError, match=rf"\b{name}=.*: must be True or False"):
            take(value, model)


def test_flags_are_those_of_python_and_numpy():
    assert [check_flag("flag", value) for value in (True, False, np.bool_(True))] == [True, False, True]
    assert callbacks.MagnitudePruning(FIXED, keep_zeros=np.bool_(False)).keep_zeros is False


def test_numbers_are_those_of_python_and_numpy():
    reals = (0, 2, 0.5, np.float32(0.5), np.int8(3), np.float64(1))
    assert all(map(is_number, reals)) and [is_integer(n) for n in reals] == [True, True, False, False, True, False]
    assert not any(is_number(value) or is_integer(value) for value in (*NONE_OF_THEM, None, float("inf")))
    assert ksr.layers.EventGRU(np.int64(4)).units == 4
    assert callbacks.MagnitudePruning(FIXED, (np.int64(1), 4.0)).block_shape == (1, 4)


def _public_classes():
    """Each public class of training with its arguments that have no default."""
    needed = {
        **{"units": 4, "chunk_size": 2, "threshold": 0.1, "input_threshold": 0.1, "scale": 0.1, "density": 0.5},
        **{"drop_fraction": 0.2, "schedule": FIXED, "target_sparsity": 0.5, "initial_sparsity": 0.0, "strength": 0.1},
        **{"final_sparsity": 0.5, "initial_fraction": 0.5, "final_fraction": 0.0, "learning_rate": 0.1},
    }
    more = {
        schedules.ConstantSparsity: {"begin_step": 0},
        schedules.PolynomialDecay: {"begin_step": 0, "end_step": 9},
        schedules.CosineDecay: {"begin_step": 0, "end_step": 9},
        schedules.RampThreshold: {"begin_step": 0, "ramp_step": 5, "end_step": 9, "q": 0.1},
        callbacks.ThresholdPruning: {"schedule": lambda step: (True, 0.1)},
    }
    for module in (ksr.layers, callbacks, schedules, regularizers, optimizers, initializers):
        for kind in vars(module).values():
            if not inspect.isclass(kind) or not kind.__module__.startswith(module.__name__) or inspect.isabstract(kind):
                continue
            arguments = inspect.signature(kind).parameters.values()
            given = {one.name: needed[one.name] for one in arguments if one.default is one.empty and one.name in needed}
            if kind.__name__[0] != "_":
                yield kind, given | more.get(kind, {})


CLASSES = dict(sorted({kind.__name__: (kind, given) for kind, given in _public_classes()}.items()))
WRONG = {bool: ("x", 1), int: ("x", float("nan"), True), float: ("x", float("nan"), float("inf"), True)}
OF_RNN = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")


@pytest.mark.parametrize("name", CLASSES)
def test_each_argument_of_each_public_class_is_held_to_its_type(name):
    """Flags, integers and numbers, by the annotations; the selection of layers; what keras.layers.RNN lets through."""
    kind, given = CLASSES[name]
    kind(**given)
    hints = get_type_hints(kind.__init__)
    if issubclass(kind, layers.RNN):
        hints |= dict.fromkeys(OF_RNN, bool)
    for argument, hint in hints.items():
        kinds = get_args(hint) or (hint,)
        wrong = [value for one in (bool, int, float) if one in kinds for value in WRONG[one]]
        wrong = [value for value in wrong if not (isinstance(value, bool) and bool in kinds)]
        wrong = [value for value in wrong if not (isinstance(value, str) and (str in kinds or Any in kinds))]
        if argument == "layers":
            wrong = [5, True, ["gru", 5]]
        for value in wrong:
            with pytest.raises((ValueError, TypeError)) as raised:
                print(f"{name}({argument}={value!r}) is taken: {kind(**given | {argument: value})}")
            assert len(str(raised.value)) > 20


# Functions of a model: what is no model, and arguments that are no numbers or flags.
FUNCTIONS = [
    ("model must be a keras.Model", lambda model: ksr.prune("model", 0.5)),
    ("model must be a keras.Model", lambda model: ksr.Pruner(5, FIXED)),
    ("model must be a keras.Model", lambda model: ksr.shrink(None)),
    ("model must be a keras.Model", lambda model: ksr.convert("model.keras")),
    ("model must be a keras.Model", lambda model: ksr.report({})),
    ("model must be a keras.Layer", lambda model: ksr.profile([model])),
    ("model must be a keras.Layer", lambda model: ksr.plot.weights("gru")),
    ("block_shape=5: must be a pair", lambda model: ksr.profile(model, block_shape=5)),
    ("`valid` without `data`", lambda model: ksr.profile(model, valid=[[True]])),
    ("`error` must be a function", lambda model: ksr.to_delta(model, np.zeros((1, 3, 4)), error=5)),
    (r"engine must be one of .*; given: \[1\]", lambda model: ksr.runtime.load(b"", [1])),
    ("framework must be one of", lambda model: firmware.save_firmware(b"", "folder", {})),
    ("name must be text; given: 5", lambda model: firmware.names.model_name(5)),
    ("scale must be 0, or at least 1/256", lambda model: ksr.runtime.scale_thresholds(b"", 0.001)),
    ("monitor=5: must be the name of a loss", lambda model: callbacks.NonMonotonicTrigger(5)),
    ("picture_dir=5: must be the path", lambda model: callbacks.SparsityLogger(picture_dir=5)),
]


@pytest.mark.parametrize(("message", "call"), FUNCTIONS, ids=[f"{n}" for n in range(len(FUNCTIONS))])
def test_what_a_function_cannot_take_is_refused(message, call, model):
    with pytest.raises((ValueError, TypeError), match=message):
        call(model)


@pytest.mark.parametrize("given", [0.5, None, (True, "half"), (True, None)])
def test_a_schedule_of_other_values_is_refused(given, model):
    with pytest.raises(ValueError, match=r"schedule\(0\) gave .*: must be a pair \(due, value\)"):
        ksr.Pruner(model, lambda step: given)


def test_a_model_that_is_not_built_says_how_to_build_it():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="is not built, so it has no weights yet. Build it first: begin a Sequential"):
        ksr.summary(Own())
