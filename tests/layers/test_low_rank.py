"""Layers of low rank against those of full rank whose kernels are the products of the factors."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn.cells import describe
from keras_sparse_rnn.layers import DeltaGRU, FastGRNN, LightGRU, LightGRUCell

BATCH, TIME, FEATURES, UNITS = 4, 6, 5, 6
KINDS = [(LightGRU, 2), (LightGRU, (2, 3)), (FastGRNN, 3), (FastGRNN, (1, 2))]


def sequences(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def model_of(layer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer, layers.Dense(2)])
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=keras.backend.backend() != "jax")
    return model


def whole(factors, rank):
    """The kernels that factors stand for."""
    kernel, recurrent_kernel, gates = factors
    rows = (slice(None), slice(None)) if isinstance(rank, int) else (slice(rank[0]), slice(rank[0], None))
    return kernel @ gates[rows[0]], recurrent_kernel @ gates[rows[1]]


@pytest.mark.backend(kind=KINDS[1:3])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0].__name__} {kind[1]}")
def test_output_and_gradients_are_those_of_the_product(kind):
    of, rank = kind
    low = model_of(of(UNITS, rank=rank, return_sequences=True, bias_initializer="glorot_normal"))
    full = model_of(of(UNITS, return_sequences=True))
    factors = low.get_weights()
    sizes = (rank, rank, rank) if isinstance(rank, int) else (*rank, sum(rank))
    assert [w.shape[:1] + w.shape[-1:] for w in factors[:2]] == [(FEATURES, sizes[0]), (UNITS, sizes[1])]
    assert factors[2].shape == (sizes[2], UNITS * len(low.layers[0].cell.gates))
    full.set_weights([*whole(factors[:3], rank), *factors[3:]])
    ours, expected = (ops.convert_to_numpy(model(sequences())) for model in (low, full))
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    # In training, each factor moves by the gradient of the product times the other factor.
    before = full.get_weights()
    for model in (low, full):
        model.train_on_batch(sequences(), sequences(1)[..., :2])
    moves = [now - then for now, then in zip(full.get_weights()[:2], before, strict=False)]
    rows = (slice(None), slice(None)) if isinstance(rank, int) else (slice(rank[0]), slice(rank[0], None))
    kernel, recurrent_kernel, gates = factors[:3]
    expected = [move @ gates[part].T for move, part in zip(moves, rows, strict=True)]
    of_gates = np.zeros_like(gates)
    for move, source, part in zip(moves, (kernel, recurrent_kernel), rows, strict=True):
        of_gates[part] += source.T @ move
    for now, then, move in zip(low.get_weights(), factors, (*expected, of_gates), strict=False):
        np.testing.assert_allclose(now - then, move, atol=1e-4)
        assert np.abs(move).max() > 1e-3
    for now, other in zip(low.get_weights()[3:], full.get_weights()[2:], strict=True):
        np.testing.assert_allclose(now, other, atol=1e-4)


def test_a_rank_that_no_matrix_has_is_refused_by_name():
    for rank in (0, 2.0, True, (2,), (2, 0), "2"):
        with pytest.raises(ValueError, match="`rank` must be None, a positive integer"):
            LightGRU(UNITS, rank=rank)
    LightGRU(UNITS, rank=11).build((None, None, FEATURES))
    for rank, most in ((12, "11"), ((6, 2), r"\(5, 6\)"), ((2, 7), r"\(5, 6\)")):
        with pytest.raises(ValueError, match=f"`rank` must be at most {most} for 5 features and 6 units"):
            LightGRU(UNITS, rank=rank).build((None, None, FEATURES))


def test_the_factors_are_what_is_pruned_and_counted():
    model = model_of(LightGRU(8, rank=(4, 4), name="low"))
    facts = describe(LightGRUCell(8, rank=4))
    assert dict(facts.gates) == {"kernel": ("middle",), "recurrent_kernel": ("middle",), "gate_kernel": ("z", "h")}
    assert facts.candidate_gate is None and facts.skips == "nothing"
    ksr.prune(model, 0.5, (1, 4), layers="low")
    factors = model.layers[0].get_weights()[:3]
    sizes = [FEATURES * 4, 8 * 4, 8 * 16]
    assert [np.count_nonzero(w) for w in factors] == [12, 16, 64]  # of five blocks, three are left
    profile = ksr.profile(model, sequences()).layers[0]
    assert profile.dense_macs == profile.weights == sum(sizes)
    assert profile.effective_macs == profile.nonzero == 92
    [macs] = ksr.profiling.count_macs(model, sequences())
    assert (macs.dense, macs.effective, macs.weights) == (sum(sizes), 92, sum(sizes))


def test_configuration_survives_a_file(tmp_path):
    model = model_of(LightGRU(UNITS, rank=(2, 3)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].rank == (2, 3)
    np.testing.assert_allclose(*(ops.convert_to_numpy(one(sequences())) for one in (loaded, model)))


def test_what_has_no_low_rank_says_so():
    light = LightGRU(UNITS, rank=2, name="light")
    with pytest.raises(ValueError, match="`layer` 'light' has rank=2: a DeltaGRU has kernels of full rank"):
        DeltaGRU.from_gru(light)
    with pytest.raises(ValueError, match="'light': rank=2: a delta layer has kernels of full rank"):
        ksr.to_delta(keras.Sequential([keras.Input((TIME, FEATURES)), light]), sequences(), 0.1)
