"""DynamicSparseTraining and its presets under a real fit: the count, the masks, where weights go and come from."""

import itertools
import warnings

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import SET, DynamicSparseTraining, MagnitudePruning, RigL, SelfishRNN
from keras_sparse_rnn.schedules import ConstantSparsity, CosineDecay
from keras_sparse_rnn.sparsity import find_kernels, measure

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")
COSINE = CosineDecay(0.5, 0.05, begin_step=0, end_step=16, frequency=2)


def gru_model(optimizer="adam", units=8, **compile_args):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 3)), layers.GRU(units, name="gru"), layers.Dense(2, name="out")])
    model.compile(optimizer, "mse", jit_compile=JIT, **compile_args)
    return model


def fit(model, *callbacks, epochs=2, **args):
    """8 batches of 4 an epoch, always the same."""
    return model.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **args)


def weights(model):
    return [keras.ops.convert_to_numpy(kernel.variable.value) for kernel in find_kernels(model)[0]]


class Watch(keras.callbacks.Callback):
    """Records the weights of the kernels at the beginning and after every batch, behind the callback."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        if not self.seen:
            self.seen.append(weights(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(weights(self.model))


METHODS = {
    "selfish": lambda **arguments: SelfishRNN(0.25, COSINE, **arguments),
    "set": lambda **arguments: SET(0.25, COSINE, **arguments),
    "rigl": lambda **arguments: RigL(0.25, COSINE, **arguments),
    "equal": lambda **arguments: DynamicSparseTraining(0.25, COSINE, redistribute="equal", **arguments),
    "blocks": lambda **arguments: RigL(0.25, COSINE, block_shape=(2, 3), score="max", **arguments),
}


@pytest.mark.backend(name=["rigl"])
@pytest.mark.backend_slow(name=["selfish"])
@pytest.mark.parametrize("name", METHODS)
def test_number_of_weights_is_the_same_after_every_batch_while_places_change(name):
    model, watch, training = gru_model(), Watch(), METHODS[name]()
    history = fit(model, training, watch).history
    counts = [[np.count_nonzero(w) for w in seen] for seen in watch.seen]
    assert len(counts) == 17
    assert all(c == counts[0] for c in counts)
    total = sum(counts[0]) / (24 * 3 + 24 * 8)
    assert total == pytest.approx(0.25, abs=0 if name in ("selfish", "equal") else 0.04)
    assert history["sparsity"] == [pytest.approx(1 - total)] * 2
    masks = [np.concatenate([np.ravel(w != 0) for w in seen]) for seen in watch.seen]
    moves = [np.any(a != b) for a, b in itertools.pairwise(masks)]
    # At steps 2, 4, .. 16; what is drawn may by chance be what was there.
    assert not any(moves[0::2])
    assert sum(moves[1::2]) >= 6
    for blocks, kept, w in zip(training.masks.blocks, training.masks.kept, weights(model), strict=True):
        assert np.array_equal(blocks.expand(kept), w != 0)


def test_uniform_and_erdos_renyi_begin_as_they_should():
    for init, shares in (("uniform", (0.25, 0.25)), ("er", (0.25 * 264 * 27 / 59 / 72, 0.25 * 264 * 32 / 59 / 192))):
        model, watch = gru_model(), Watch()
        fit(model, DynamicSparseTraining(0.25, 0.0, init=init), watch, epochs=1)
        assert [np.count_nonzero(w) for w in watch.seen[0]] == [round(shares[0] * 72), round(shares[1] * 192)]
        assert sum(map(np.count_nonzero, watch.seen[0])) == 66


def test_gates_exchange_weights_or_do_not():
    def by_gate(**arguments):
        model, watch = gru_model(optimizers.Adam(0.02)), Watch()
        fit(model, DynamicSparseTraining(0.25, 0.4, frequency=2, **arguments), watch)
        return [
            [(w != 0).reshape(-1, 3, 8).sum(axis=(0, 2)).tolist() for w in seen]
            for seen in (watch.seen[0], watch.seen[-1])
        ]

    for redistribute, same in (("gates", False), ("equal", False), ("none", True)):
        before, after = by_gate(redistribute=redistribute)
        assert (before == after) == same
        assert [sum(gates) for gates in before] == [sum(gates) for gates in after]


def one_update(optimizer, **arguments):
    """A model that is updated once, at step 4 of 5: its weights after steps 3, 4 and 5, and its optimizer after 4."""

    class Slots(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                kernel = self.model.layers[0].cell.recurrent_kernel
                self.slots = {
                    v.name: keras.ops.convert_to_numpy(v.value)
                    for v in self.model.optimizer.variables
                    if v.shape == kernel.shape and "recurrent" in v.name
                }

    model, watch, slots = gru_model(optimizer), Watch(), Slots()
    due_at_4 = lambda step: (step == 4, 0.5)  # noqa: E731
    model.fit(
        X[:20], Y[:20], batch_size=4, shuffle=False, verbose=0,
        callbacks=[DynamicSparseTraining(0.25, due_at_4, **arguments), watch, slots],
    )  # fmt: skip
    return [seen[1] for seen in watch.seen[3:6]], slots.slots


OPTIMIZERS = {
    "momentum": (lambda: optimizers.SGD(0.05, momentum=0.9), 1),
    "adamw_ema": (lambda: optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True), 3),
    "rmsprop": (lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True), 3),
}


@pytest.mark.backend(name=["adamw_ema"])
@pytest.mark.parametrize(
    ("name", "grow"),
    [
        *(("momentum", "random"), ("adamw_ema", "random"), ("adamw_ema", "gradient"), ("rmsprop", "gradient")),
        pytest.param("momentum", "gradient", marks=pytest.mark.slow),
        pytest.param("rmsprop", "random", marks=pytest.mark.slow),
    ],
)
def test_new_weights_start_at_nothing_with_nothing_in_the_optimizer(name, grow):
    make, count = OPTIMIZERS[name]
    (before, after, later), slots = one_update(make(), grow=grow)
    slots = {name: slot for name, slot in slots.items() if "gradient" not in name or "average" in name}
    new, stayed = (before == 0) & (after != 0), (before != 0) & (after != 0)
    assert new.sum() + stayed.sum() == 48
    assert new.sum() > 10
    assert np.all(np.abs(after[new]) < 1e-29)
    assert np.all(np.abs(later[new]) > 1e-12)
    assert np.all(np.abs(after[stayed]) > 1e-6)
    assert len(slots) == count
    for slot in slots.values():
        assert np.all(np.abs(slot[new]) < 1e-29)
        assert np.all(slot[stayed] != 0)


class BeforeMasking(keras.callbacks.Callback):
    """Listed first: the weights as the optimizer leaves them."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(weights(self.model))


@pytest.mark.backend(redistribute=["gates"])
@pytest.mark.parametrize(("redistribute", "block_shape"), [("none", (1, 1)), ("gates", (1, 4))])
def test_grows_where_the_dense_gradient_is_largest(redistribute, block_shape):
    """Gradient descent itself tells the gradient of masked weights, in its step; the update again in NumPy."""
    raw, watch = BeforeMasking(), Watch()
    training = RigL(0.5, lambda s: (s == 4, 0.4), redistribute=redistribute, block_shape=block_shape)
    fit(gru_model(optimizers.SGD(0.5)), raw, training, watch, epochs=1)
    for before, stepped, after in zip(watch.seen[3], raw.seen[3], watch.seen[4], strict=True):
        shape = (before.shape[0], 3, 8 // block_shape[1], block_shape[1])
        kept = np.any(before.reshape(shape) != 0, axis=3)
        gradient = np.abs(before - stepped).reshape(shape).mean(axis=3)
        magnitude = np.abs(np.where(before != 0, stepped, 0)).reshape(shape).mean(axis=3)
        expected = kept.copy()
        for part in [np.s_[:, g] for g in range(3)] if redistribute == "none" else [np.s_[:]]:
            count = int(np.ceil(0.4 * kept[part].sum()))
            mask = kept[part] & (magnitude[part] > np.sort(magnitude[part][kept[part]])[count - 1])
            growth = np.where(mask, -1, gradient[part])
            expected[part] = mask | (growth >= np.sort(growth, axis=None)[-count])
        assert np.array_equal(np.any(after.reshape(shape) != 0, axis=3), expected)
        assert not np.array_equal(kept, expected)


@pytest.mark.backend(grow=["gradient"])
@pytest.mark.parametrize("grow", ["random", "gradient"])
def test_a_weight_dropped_and_grown_again_keeps_its_value(grow):
    raw, watch = BeforeMasking(), Watch()
    training = DynamicSparseTraining(0.9, lambda s: (s == 4, 0.5), grow=grow)
    fit(gru_model(), raw, training, watch, epochs=1)
    for before, stepped, after in zip(watch.seen[3], raw.seen[3], watch.seen[4], strict=True):
        both = (before != 0) & (after != 0)
        # Half of 90 % are dropped, and more than that grows in 55 % of the places: 45 % survive at most otherwise.
        assert both.mean() > 0.7
        assert np.array_equal(after[both], stepped[both])


def test_what_grows_last_is_there_where_moving_averages_become_the_weights():
    model = gru_model(optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9))
    fit(model, SelfishRNN(0.25, 0.5, frequency=8), epochs=1)
    assert measure(model) == 0.75


def test_same_seed_same_places():
    def masks(seed):
        model = gru_model()
        fit(model, SelfishRNN(0.25, 0.3, frequency=3, seed=seed), epochs=1)
        return np.concatenate([np.ravel(w != 0) for w in weights(model)])

    once, again, other = masks(1), masks(1), masks(2)
    assert np.array_equal(once, again)
    assert np.mean(once != other) > 0.1


@pytest.mark.backend(name=["rigl"])
@pytest.mark.parametrize("name", ["selfish", "rigl"])
def test_goes_on_from_a_file_as_if_never_stopped(name, tmp_path):
    """Saved right after an update, when what has grown has not been trained yet."""
    whole, first = gru_model(), gru_model()
    fit(whole, METHODS[name]())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first half is too short for the schedule, and says so
        fit(first, METHODS[name](), epochs=1)
    assert min(np.abs(w[w != 0]).min() for w in weights(first)) < 1e-29
    first.save(tmp_path / "half.keras")
    second = keras.models.load_model(tmp_path / "half.keras")
    fit(second, METHODS[name](), initial_epoch=1)
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(a != 0, b != 0)
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_goes_on_with_the_zeros_of_another_method():
    model, watch = gru_model(), Watch()
    fit(model, MagnitudePruning(ConstantSparsity(0.75, 0)), epochs=1)
    before = weights(model)
    fit(model, SelfishRNN(0.25, 0.3, frequency=3), watch, epochs=1)
    assert all(np.array_equal(a, b) for a, b in zip(before, watch.seen[0], strict=True))
    assert measure(model) == 0.75
    assert any(np.any((a != 0) != (b != 0)) for a, b in zip(before, weights(model), strict=True))


def test_kernels_that_begin_as_zeros_come_to_weights_too():
    zeros = layers.Dense(8, kernel_initializer="zeros", name="zeros")
    model = keras.Sequential([keras.Input((4, 3)), layers.Flatten(), zeros, layers.Dense(2, name="out")])
    model.compile("adam", "mse")
    fit(model, DynamicSparseTraining(0.25, 0.2, frequency=2, layers=["zeros", "out"]), epochs=1)
    assert [np.count_nonzero(model.get_layer(name).get_weights()[0]) for name in ("zeros", "out")] == [24, 4]


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras on torch refuses steps_per_execution > 1")
def test_several_steps_in_one_execution():
    model, watch = gru_model(steps_per_execution=4), Watch()
    fit(model, RigL(0.25, 0.3, frequency=3), watch)
    counts = [[np.count_nonzero(w) for w in seen] for seen in watch.seen]
    assert len(counts) == 5
    assert all(c == counts[0] for c in counts)


def test_density_of_one_leaves_training_as_it_is():
    sparse, dense = gru_model(), gru_model()
    fit(sparse, RigL(1.0, 0.3, frequency=3))
    fit(dense)
    for a, b in zip(sparse.get_weights(), dense.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_sparse_from_the_beginning_it_learns_what_came_first():
    """Four symbols, each shown once and then noise: a fifth of a GRU's weights tells which one it was."""
    rng = np.random.default_rng(4)
    symbol = rng.integers(4, size=512)
    x = rng.normal(scale=0.3, size=(512, 4, 4)).astype("float32")
    x[np.arange(512), 0, symbol] += 2
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4, 4)), layers.GRU(16), layers.Dense(4, "softmax")])
    model.compile(optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=JIT)
    schedule = CosineDecay(0.5, 0.005, begin_step=0, end_step=26, frequency=5)
    model.fit(x[:384], symbol[:384], batch_size=64, epochs=6, verbose=0, callbacks=[SelfishRNN(0.2, schedule)])
    assert measure(model) == pytest.approx(0.8, abs=0.001)
    assert model.evaluate(x[384:], symbol[384:], verbose=0)[1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"density": 0.0}, r"density=0.0: must be a number in \(0, 1\]"),
        ({"density": 1.1}, "density=1.1"),
        ({"density": float("nan")}, "density=nan"),
        ({"drop_fraction": 1.0}, r"drop_fraction=1.0: must be a number in \[0, 1\), or a schedule"),
        ({"drop_fraction": "cosine"}, "drop_fraction='cosine'"),
        ({"frequency": 0}, "frequency=0: must be an integer >= 1"),
        ({"drop_fraction": COSINE, "frequency": 9}, "frequency=9: the schedule given as drop_fraction has its own"),
        ({"drop": "weights"}, r"drop='weights': must be one of \('magnitude', 'signed'\)"),
        ({"grow": "momentum"}, r"grow='momentum': must be one of \('random', 'gradient'\)"),
        ({"redistribute": "all"}, r"redistribute='all': must be one of \('gates', 'equal', 'none'\)"),
        ({"init": "ERK"}, r"init='ERK': must be one of \('uniform', 'er', 'erk'\)"),
        ({"score": "l0"}, "score='l0': must be one of"),
        ({"block_shape": 4}, "block_shape=4: must be a pair"),
        ({"seed": -1}, "seed=-1: must be an integer >= 0"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicSparseTraining(**{"density": 0.5, **arguments})


def test_a_weight_that_happens_to_be_zero_is_no_mask():
    model = gru_model(units=64)
    kernel = model.layers[0].cell.recurrent_kernel
    values = keras.ops.convert_to_numpy(kernel.value).copy()
    values[0, 0] = 0
    kernel.assign(values)
    callback = SelfishRNN(0.5)
    fit(model, callback, epochs=1)
    assert callback.masks.sparsity == pytest.approx(0.5, abs=1e-3)


def test_fit_refuses():
    with pytest.raises(ValueError, match="larger than a gate of gru/gru_cell/kernel"):
        fit(gru_model(), RigL(0.5, block_shape=(4, 4)))
    with pytest.raises(ValueError, match=r"schedule\(2\) gave the drop fraction 1.0: must be in \[0, 1\)"):
        fit(gru_model(), SET(0.5, lambda step: (step == 2, 1)))
    model = gru_model()
    fit(model, epochs=1)
    with pytest.raises(
        ValueError, match="optimizer is at step 8, but no block of .* is masked.*list SelfishRNN before Backup"
    ):
        fit(model, SelfishRNN(0.5))
    fit(model, MagnitudePruning(ConstantSparsity(0.75, 8)), epochs=1)
    with pytest.raises(ValueError, match="density=0.5, but the model is sparse already.*is 0.25. To continue"):
        fit(model, SelfishRNN(0.5))
