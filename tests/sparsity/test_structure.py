"""Masks held to more than blocks: zeros n of m, densities by gate, diagonals that stay."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse_rnn as ksr
from keras_sparse_rnn.callbacks import SET, MagnitudePruning, RigL, SelfishRNN, ThresholdPruning
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay
from keras_sparse_rnn.sparsity import Kernel, Masks, find_kernels

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 4, 8)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")
BY_GATE = {"z": 0.2, "r": 0.3, "h": 0.5}


def masks_of_tfmot(arrays, pattern):
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

    schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, 0)
    method = pruning_impl.Pruning(lambda: 0, [], schedule, (1, 1), "AVG", pattern)
    return [method._maybe_update_block_mask(tf.constant(w))[1].numpy() for w in arrays]


@pytest.mark.parametrize("pattern", [(2, 4), (1, 4), (5, 8)])
def test_same_masks_as_tfmot(beside_tfmot, pattern):
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype("float32") for shape in ((16, 12), (3, 3, 8, 5))]
    kernels = [Kernel(f"k{i}", keras.Variable(w), 1, None) for i, w in enumerate(arrays)]
    masks = Masks(kernels, pattern=pattern)
    masks.prune(pattern[0] / pattern[1])
    masks.apply()
    for kernel, theirs in zip(kernels, beside_tfmot(masks_of_tfmot, arrays, pattern), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(kernel.variable.value) != 0, theirs != 0)


def zeros_of_groups(kernel, of):
    """Zeros in each group of `of` weights along the inputs of an output."""
    return [
        np.count_nonzero(group == 0) for column in kernel.values().T for group in np.split(column, column.size // of)
    ]


def convolutional(activation="relu"):
    keras.utils.set_random_seed(7)
    parts = [
        keras.Input((4, 8)),
        layers.Conv1D(8, 2, activation=activation, name="conv"),
        layers.GRU(8, name="gru"),
        layers.Dense(2, name="out"),
    ]
    model = keras.Sequential(parts)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=JIT)
    return model


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.zeros = []

    def on_train_batch_end(self, batch, logs=None):
        self.zeros.append(ksr.sparsity.measure(self.model, "all"))


def fit(model, *callbacks):
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=list(callbacks))


@pytest.mark.backend(scope=["global"])
@pytest.mark.backend_slow
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_pattern_fills_up_and_is_exact_in_the_end(scope):
    model, watch = convolutional(), Watch()
    schedule = PolynomialDecay(0.1, 0.5, 1, 7, frequency=2)
    fit(model, MagnitudePruning(schedule, scope=scope, layers="all", pattern=(2, 4)), watch)
    kernels = find_kernels(model, "all")[0]
    assert [set(zeros_of_groups(kernel, 4)) for kernel in kernels] == 4 * [{2}]
    weights = sum(np.prod(kernel.shape) for kernel in kernels)
    assert watch.zeros[1::2] == pytest.approx([schedule(step)[1] for step in (1, 3, 5, 7)], abs=4 / weights)


def test_pattern_of_a_fit_that_goes_on_from_half_way():
    model = convolutional()
    ksr.prune(model, 0.25, layers="all", pattern=(1, 4))
    first = {kernel.path: kernel.values() == 0 for kernel in find_kernels(model, "all")[0]}
    assert ksr.prune(model, 0.5, layers="all", pattern=(2, 4)) == 0.5
    for kernel in find_kernels(model, "all")[0]:
        assert (kernel.values()[first[kernel.path]] == 0).all()
        assert set(zeros_of_groups(kernel, 4)) == {2}
    with pytest.raises(ValueError, match=r"pattern=\(1, 4\): the model is pruned already, to a sparsity of 0.5"):
        ksr.prune(model, 0.25, layers="all", pattern=(1, 4))
    fit(model, MagnitudePruning(ConstantSparsity(0.25, 2), layers="all", pattern=(1, 4), keep_zeros=False))
    assert {n for kernel in find_kernels(model, "all")[0] for n in zeros_of_groups(kernel, 4)} == {1}


def shares_of_gates(kernel):
    return [float(np.mean(gate == 0)) for gate in np.split(kernel.values(), kernel.gates, axis=1)]


@pytest.mark.backend_slow(block_shape=[(1, 4)])
@pytest.mark.parametrize("block_shape", [(1, 1), (1, 4)])
def test_densities_by_gate(block_shape):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 10)), layers.GRU(20, name="gru"), layers.Dense(2)])
    model.compile("adam", "mse", jit_compile=JIT)
    halfway = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: halfway.append([*map(shares_of_gates, find_kernels(model)[0])])
    )
    schedule = PolynomialDecay(0.0, 0.667, 0, 8, power=1, frequency=1)
    fit_of = MagnitudePruning(schedule, block_shape, gate_density=BY_GATE)
    model.fit(np.tile(X, 2)[..., :10], Y, batch_size=4, verbose=0, callbacks=[fit_of, watch])
    for kernel in find_kernels(model)[0]:
        assert shares_of_gates(kernel) == pytest.approx([0.8, 0.7, 0.5], abs=1e-9)
    assert halfway[3] == [pytest.approx([0.4, 0.35, 0.25], abs=4 / 200)] * 2


@pytest.mark.parametrize(("block_shape", "sparsity"), [((1, 1), 0.5), ((4, 4), 0.75)])
def test_a_kept_diagonal(block_shape, sparsity):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 8)), layers.GRU(16, name="gru"), layers.Dense(2)])
    model.compile("adam", "mse")
    reached = ksr.prune(model, sparsity, block_shape, keep_diagonal=True)
    values = find_kernels(model)[0][1].values()
    on = np.tile(np.eye(16, dtype=bool), 3)
    assert (values[on] != 0).all()
    assert reached == pytest.approx(sparsity, abs=np.prod(block_shape) / values.size)
    assert np.mean(values == 0) == pytest.approx(sparsity, abs=np.prod(block_shape) / values.size)
    # A fit that goes on finds the masks behind the diagonal, and what it leaves has them still.
    fit(model, MagnitudePruning(ConstantSparsity(sparsity, 0), block_shape, keep_diagonal=True))
    np.testing.assert_array_equal(find_kernels(model)[0][1].values() == 0, values == 0)


def test_blocks_of_lpcnet():
    """Its recipe in NumPy: in each gate the blocks of most energy beside the diagonal, and the diagonal."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 8)), layers.GRU(32, name="gru"), layers.Dense(2)])
    (recurrent,) = find_kernels(model, "gru/gru_cell/recurrent_kernel")[0]
    before = np.split(recurrent.values(), 3, axis=1)
    ksr.prune(model, 2 / 3, (4, 8), layers=recurrent.path, score="l2", gate_density=BY_GATE, keep_diagonal=True)
    for density, old, new in zip(BY_GATE.values(), before, np.split(recurrent.values(), 3, axis=1), strict=True):
        energy = np.square(old * (1 - np.eye(32))).reshape(8, 4, 4, 8).sum(axis=(1, 3))
        candidates = [_lpcnet(old, energy, count) for count in range(32, -1, -1)]
        nearest = min(candidates, key=lambda gate: abs(np.mean(gate == 0) - (1 - density)))
        np.testing.assert_array_equal(new, nearest)


def _lpcnet(gate, energy, count):
    kept = energy > np.sort(energy, axis=None)[::-1][count] if count < energy.size else np.ones_like(energy, bool)
    return np.where(np.repeat(np.repeat(kept, 4, 0), 8, 1) | np.eye(32, dtype=bool), gate, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": (4, 4)}, r"pattern=\(4, 4\): must be a pair"),
        ({"pattern": "2:4"}, "pattern='2:4': must be a pair"),
        ({"pattern": (2, 4), "block_shape": (1, 4)}, r"pattern=\(2, 4\): is one of single weights"),
        ({"gate_density": {"z": 0.2, "h": 1.5}}, "must map the name of each gate to a density"),
        ({"gate_density": {"z": 1}}, "leaves nothing to prune"),
        ({"gate_density": BY_GATE, "scope": "global"}, "goes with scope='layer'"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MagnitudePruning(ConstantSparsity(0.5, 0), **arguments)
    if "scope" not in arguments:
        with pytest.raises(ValueError, match=message):
            RigL(0.5, **arguments)


@pytest.mark.parametrize("method", [SET, RigL, SelfishRNN])
def test_methods_that_move_weights_refuse_arguments(method):
    with pytest.raises(ValueError, match=r"pattern=\(2, 4\) is a density of 0.5, but density=0.1 was given"):
        method(0.1, pattern=(2, 4))
    with pytest.raises(ValueError, match=r"is a density of 0.3333, but density=0.5 was given: give density=0.3333"):
        method(0.5, gate_density=BY_GATE)
    with pytest.raises(ValueError, match="each gate keeps its number of weights, so redistribute must be 'none'"):
        method(0.5, pattern=(2, 4), redistribute="gates")
    with pytest.raises(ValueError, match="redistribute='none' and init='er' were given"):
        method(1 / 3, gate_density=BY_GATE, redistribute="none", init="er")
    for arguments, message in (
        ({"density": 1 / 3, "pattern": (2, 3)}, r"pattern=\(2, 3\) does not divide conv/kernel"),
        ({"density": 1 / 3, "gate_density": BY_GATE}, "those of conv/kernel are one only"),
        ({"density": 0.5, "keep_diagonal": True, "layers": ["conv", "out"]}, "is a recurrent kernel"),
    ):
        model = convolutional()
        before = model.get_weights()
        with pytest.raises(ValueError, match=message):
            fit(model, method(**{"layers": "all", **arguments}))
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_threshold_keeps_a_diagonal():
    model = convolutional()
    fit(model, ThresholdPruning(lambda step: (True, 0.4), layers="gru", keep_diagonal=True))
    values = find_kernels(model)[0][1].values()
    on = np.tile(np.eye(8, dtype=bool), 3)
    assert (values[on] != 0).all()
    assert np.mean(values[~on] == 0) > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": (2, 3)}, r"pattern=\(2, 3\) does not divide conv/kernel: each of its outputs has 16 inputs"),
        ({"pattern": (1, 4)}, r"pattern=\(1, 4\) is a sparsity of 0.25, but the schedule ends at 0.5"),
        ({"gate_density": BY_GATE}, "gate_density has the gates 'z', 'r', 'h', but those of conv/kernel are one only"),
        ({"gate_density": {"z": 0.5, "r": 0.5}, "layers": None}, "those of gru/gru_cell/kernel are 'z', 'r', 'h'"),
        ({"gate_density": BY_GATE, "layers": None}, "is a sparsity of 0.6667, but the schedule ends at 0.5"),
        ({"keep_diagonal": True, "layers": ["conv", "out"]}, "none of conv/kernel, out/kernel is a recurrent kernel"),
    ],
)
def test_fit_refuses_at_its_beginning(arguments, message):
    model = convolutional()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, MagnitudePruning(**{"schedule": PolynomialDecay(0, 0.5, 2, 4), "layers": "all", **arguments}))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
