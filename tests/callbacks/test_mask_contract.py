"""The contract of all methods, with all optimizers and in all kinds of layers.

No masked weight is non-zero, after any batch and after fit.
"""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import SET, MagnitudePruning, NonMonotonicTrigger, RigL, SelfishRNN, ThresholdPruning
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.optimizers import SNTASGD
from keras_sparse_rnn.schedules import PolynomialDecay, RampThreshold
from keras_sparse_rnn.sparsity import find_kernels

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")

METHODS = {
    "magnitude": lambda where: MagnitudePruning(PolynomialDecay(0.25, 0.75, 1, 5, frequency=2), (1, 2), layers=where),
    "threshold": lambda where: ThresholdPruning(RampThreshold(1, 3, 5, q=0.15, frequency=2), layers=where),
    "set": lambda where: SET(0.25, 0.3, frequency=3, layers=where),
    "selfish": lambda where: SelfishRNN(0.25, 0.3, frequency=3, block_shape=(1, 4), layers=where),
    "rigl": lambda where: RigL(0.25, 0.3, frequency=3, layers=where),
}
OPTIMIZERS = {
    "sgd_clipnorm_decay": lambda: optimizers.SGD(0.05, clipnorm=0.5, weight_decay=0.1),
    "momentum_accumulation": lambda: optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=2),
    "adam_ema_overwriting": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "adamw_ema_clipnorm": lambda: optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True, global_clipnorm=0.5),
    "rmsprop_loss_scaling": lambda: optimizers.LossScaleOptimizer(optimizers.RMSprop(0.01, momentum=0.9), 8.0),
    "sntasgd_decay": lambda: SNTASGD(0.05, interval=1, weight_decay=0.1, clipvalue=0.5),
}


class Watch(keras.callbacks.Callback):
    """Counts, behind the method and before the next batch, weights outside the masks of all kernels."""

    def __init__(self, method):
        super().__init__()
        self.method, self.outside, self.masked = method, [], []

    def look(self, *_, **__):
        masks, kernels = self.method.masks, find_kernels(self.model, self.method.layers)[0]
        pairs = [
            (keras.ops.convert_to_numpy(kernel.variable.value), keras.ops.convert_to_numpy(mask))
            for kernel, mask in zip(kernels, masks.tensors(), strict=True)
        ]
        self.outside.append(sum(np.count_nonzero(weights[~mask]) for weights, mask in pairs))
        self.masked.append(masks.sparsity)

    on_train_batch_end = on_epoch_end = on_test_begin = look

    def on_epoch_begin(self, epoch, logs=None):
        self.look()


EACH_ONCE = list(zip(OPTIMIZERS, itertools.cycle(METHODS), strict=False))


@pytest.mark.backend(case=EACH_ONCE)
@pytest.mark.parametrize(
    "case",
    [
        # Each optimizer with two methods, each method with two or three optimizers; with `-m slow` the others.
        pytest.param(
            (optimizer, method), id=f"{optimizer} {method}", marks=[] if (j - i) % 5 < 2 else [pytest.mark.slow]
        )
        for i, optimizer in enumerate(OPTIMIZERS)
        for j, method in enumerate(METHODS)
    ],
)
def test_no_masked_weight_is_non_zero(case):
    optimizer, method = case
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(12, "tanh", name="hidden"), layers.Dense(2)])
    model.compile(OPTIMIZERS[optimizer](), "mse", jit_compile=JIT)
    before = model.get_weights()[0]
    masking = METHODS[method]("hidden")
    watch = Watch(masking)
    # With a loss that rises averaging starts after the third epoch.
    trigger = [NonMonotonicTrigger("rising")] if "sntasgd" in optimizer else []
    rising = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(rising=epoch))
    model.fit(
        X,
        Y,
        batch_size=8,
        epochs=5,
        verbose=0,
        validation_data=(X, Y) if trigger else None,
        callbacks=[masking, rising, *trigger, watch],
    )
    assert set(watch.outside) == {0}
    assert watch.masked[-1] > 0.2
    after = model.get_weights()[0]
    mask = masking.masks.blocks[0].expand(masking.masks.kept[0])
    assert not after[~mask].any()
    assert np.mean(after[mask] != before[mask]) > 0.9
    if trigger:
        assert model.optimizer.averaging


class OwnCell(layers.Layer):
    """A cell that does not say how many gates it has."""

    state_size = output_size = 4

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 8), initializer="glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(4, 8), initializer="orthogonal", name="recurrent_kernel")

    def call(self, inputs, states):
        gate, new = keras.ops.split(inputs @ self.kernel + states[0] @ self.recurrent_kernel, 2, axis=-1)
        outputs = keras.ops.sigmoid(gate) * keras.ops.tanh(new)
        return outputs, [outputs]


def every_kind():
    """Each kind of layer that has kernels, side by side, so that each has a gradient."""
    words, signal = keras.Input((8,), dtype="int32"), keras.Input((8, 4))
    image = layers.Reshape((4, 2, 4))(signal)
    parts = [
        layers.Embedding(9, 4)(words),
        EventGRU(4, return_sequences=True)(signal),
        *[kind(4, return_sequences=True)(signal) for kind in (layers.SimpleRNN, layers.GRU, layers.LSTM)],
        layers.RNN(OwnCell(), return_sequences=True)(signal),
        layers.Conv1D(4, 3, padding="same")(signal),
        layers.Conv1DTranspose(4, 2)(signal),
        layers.SeparableConv1D(4, 3)(signal),
        layers.DepthwiseConv1D(3, depth_multiplier=2)(signal),
        layers.Conv2D(4, 2)(image),
        layers.Conv2DTranspose(4, 2)(image),
        layers.DepthwiseConv2D(2)(image),
        layers.SeparableConv2D(4, 2)(image),
        layers.Conv3D(4, 2, padding="same")(layers.Reshape((2, 2, 2, 4))(signal)),
        layers.Conv3DTranspose(4, 2)(layers.Reshape((2, 2, 2, 4))(signal)),
        layers.ConvLSTM1D(4, 2, return_sequences=True)(image),
        layers.EinsumDense("abc,cde->abde", (8, 2, 4))(signal),
        layers.MultiHeadAttention(2, 4)(signal, signal),
        layers.GroupQueryAttention(4, 4, 2)(signal, signal),
        layers.TimeDistributed(layers.Dense(4))(signal),
    ]
    together = layers.Concatenate()([layers.Flatten()(part) for part in parts])
    return keras.Model([words, signal], layers.Dense(4)(together))


@pytest.mark.slow
# Of the methods RigL asks most of a backend: the gradient of each kernel.
@pytest.mark.backend(method=["rigl"])
@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[] if m == "magnitude" else pytest.mark.slow) for m in METHODS]
)
def test_in_every_kind_of_layer(method):
    keras.utils.set_random_seed(7)
    model = every_kind()
    model.compile(optimizers.SGD(0.05, momentum=0.9, use_ema=True), "mse", jit_compile=JIT)
    rng = np.random.default_rng(0)
    x = [rng.integers(9, size=(24, 8)), rng.normal(size=(24, 8, 4)).astype("float32")]
    masking = METHODS[method]("all")
    watch = Watch(masking)
    model.fit(x, np.ones((24, 4)), batch_size=4, verbose=0, callbacks=[masking, watch])
    assert not masking.skipped
    assert len(masking.masks.kernels) == 36
    assert set(watch.outside) == {0}
    assert masking.masks.zeros() >= masking.masks.sparsity > 0.1
    if method == "magnitude":
        assert all(abs(share - 0.75) < 0.13 for share in masking.masks.sparsities)


STRUCTURES = {
    "pattern": {"pattern": (3, 4)},
    "gates": {"gate_density": {"z": 0.125, "r": 0.25, "h": 0.375}},
    "diagonal": {"block_shape": (1, 2), "keep_diagonal": True},
}


def check_structure(structure, kernel, weights):
    """Asserts that the zeros of a kernel (inputs, 3 * 8) are where its structure says."""
    if structure == "pattern":
        assert (np.count_nonzero(weights.reshape(-1, 4, 24), axis=1) == 1).all()
    elif structure == "gates":
        np.testing.assert_array_equal(
            np.count_nonzero(weights.reshape(-1, 3, 8), axis=(0, 2)), [len(weights), 2 * len(weights), 3 * len(weights)]
        )
    else:
        assert np.count_nonzero(weights) == pytest.approx(weights.size / 4, abs=1)
        if "recurrent" in kernel.path:
            # A dropped block that returns must not begin its diagonal anew.
            assert np.abs(weights[np.tile(np.eye(8, dtype=bool), 3)]).min() > 1e-6


@pytest.mark.slow_but(case=[("rigl", "pattern"), ("set", "gates"), ("rigl", "diagonal")])
@pytest.mark.backend(case=[("rigl", structure) for structure in STRUCTURES])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param((m, s), id=f"{m} {s}", marks=[] if m in ("rigl", "set") or s == "gates" else [pytest.mark.slow])
        for m, s in itertools.product(("set", "selfish", "rigl"), STRUCTURES)
    ],
)
def test_weights_move_within_a_structure(case):
    method, structure = case
    kind = {"set": SET, "selfish": SelfishRNN, "rigl": RigL}[method]
    init = {} if structure != "diagonal" else {"init": "uniform"}
    masking = kind(0.25, 0.4, frequency=2, **STRUCTURES[structure], **init)
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((3, 8)), layers.GRU(8), layers.Dense(2)])
    model.compile(optimizers.Adam(0.01, use_ema=True, global_clipnorm=1.0), "mse", jit_compile=JIT)
    seen, watch = [], Watch(masking)
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append([kernel.values() for kernel in masking.masks.kernels])
    )
    x = np.random.default_rng(0).normal(size=(32, 3, 8)).astype("float32")
    model.fit(x, Y, batch_size=4, verbose=0, callbacks=[masking, look, watch])
    assert set(watch.outside) == {0}
    for weights in (*seen, [kernel.values() for kernel in masking.masks.kernels]):
        for kernel, values in zip(masking.masks.kernels, weights, strict=True):
            check_structure(structure, kernel, values)
    for first, last in zip(seen[0], seen[-1], strict=True):
        assert ((first != 0) != (last != 0)).any()
    # What it leaves has the structure, so that another fit continues with it; with other arguments it does not.
    kept = [mask.copy() for mask in masking.masks.kept]
    again = kind(0.25, 0.0, **STRUCTURES[structure], **init)
    model.compile("adam", "mse", jit_compile=JIT)  # Keras cannot fit a second time with a moving average on JAX
    model.fit(x, Y, batch_size=32, verbose=0, callbacks=[again])
    for before, after in zip(kept, again.masks.kept, strict=True):
        np.testing.assert_array_equal(before, after)
    if structure == "gates":
        with pytest.raises(ValueError, match=r"pattern=\(3, 4\): the model is sparse already, in other places"):
            model.fit(x, Y, verbose=0, callbacks=[kind(0.25, pattern=(3, 4))])


@pytest.mark.parametrize(
    ("select", "path"),
    [
        ("conv2d", "conv2d/kernel"),
        (lambda layer: getattr(layer, "kernel_size", None) == (2,), "conv1d_transpose/kernel"),
        ("multi_head_attention/query/kernel", "multi_head_attention/query/kernel"),
        ("separable_conv1d", "separable_conv1d/depthwise_kernel"),
    ],
)
def test_two_callbacks_of_a_fit_do_not_share_a_kernel_of_any_rank(select, path):
    keras.backend.clear_session()  # the names of layers begin anew
    model = every_kind()
    model.compile("sgd", "mse")
    both = [METHODS["magnitude"](select), METHODS["set"]("all")]
    with pytest.raises(ValueError, match=f"{path} is pruned by two callbacks of this fit"):
        model.fit([np.zeros((4, 8)), np.zeros((4, 8, 4))], np.ones((4, 4)), verbose=0, callbacks=both)
