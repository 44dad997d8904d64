"""DynamicSparseTraining and its presets under a real fit: the count, the masks, where weights go and come from."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import SET, DynamicSparseTraining, RigL, SelfishRNN
from keras_sparse_rnn.schedules import CosineDecay
from keras_sparse_rnn.sparsity import find_kernels

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")
COSINE = CosineDecay(0.5, 0.05, begin_step=0, end_step=16, frequency=2)


def gru_model(optimizer="adam", **compile_args):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 3)), layers.GRU(8, name="gru"), layers.Dense(2, name="out")])
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


@pytest.mark.parametrize("grow", ["random", "gradient"])
@pytest.mark.parametrize("name", OPTIMIZERS)
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
        assert np.all(slot[new] == 0)
        assert np.all(slot[stayed] != 0)
