"""The contract "a pruned model is a plain Keras model", and what else MagnitudePruning promises, under a real fit."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from keras_sparse_rnn.callbacks import MagnitudePruning
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay, RampThreshold
from keras_sparse_rnn.sparsity import find_kernels, measure, measure_kernels

JIT = keras.backend.backend() == "jax"  # XLA gains nothing here for tensorflow, and JAX is slow without
X = np.random.default_rng(0).normal(size=(32, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")


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
    """Records, behind the pruning callback, how sparse the model's own weights are whenever somebody may look."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs, self.tests = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(measure(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(measure(self.model))

    def on_test_begin(self, logs=None):
        self.tests.append(measure(self.model))


@pytest.mark.backend
def test_masked_weights_are_exact_zeros_wherever_one_looks():
    model, watch = gru_model(optimizers.SGD(0.05, momentum=0.9, nesterov=True)), Watch()
    pruning = MagnitudePruning(ConstantSparsity(0.75, begin_step=2))
    before = weights(model)
    history = fit(model, pruning, watch, validation_data=(X, Y)).history
    # 24 x 3 and 24 x 8 weights, of which 0.75 are whole numbers.
    assert watch.batches == [0] + 15 * [0.75]
    assert watch.epochs == watch.tests == history["sparsity"] == [0.75, 0.75]
    assert measure_kernels(model) == {"gru/gru_cell/kernel": 0.75, "gru/gru_cell/recurrent_kernel": 0.75}
    assert all(np.all(w[w != 0] != b[w != 0]) for w, b in zip(weights(model), before, strict=True))


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def mixed_precision(request):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(policy)


@pytest.mark.backend(mixed_precision=["mixed_float16"])
def test_masked_weights_are_exact_zeros_in(mixed_precision):
    model, watch = gru_model(optimizers.Adam(0.01, use_ema=True)), Watch()
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer) == (mixed_precision == "mixed_float16")
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    fit(model, MagnitudePruning(ConstantSparsity(0.75, begin_step=0)), swap, watch)
    assert watch.batches == 16 * [0.75]
    assert watch.epochs == [0.75, 0.75]
    assert measure(model) == 0.75


@pytest.mark.backend_slow
def test_averages_that_are_swapped_in_are_masked_too():
    model, watch = gru_model(optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)), Watch()
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    fit(model, MagnitudePruning(ConstantSparsity(0.75, begin_step=2)), swap, watch, validation_data=(X, Y))
    assert watch.epochs == watch.tests == [0.75, 0.75]
    assert measure(model) == 0.75


@pytest.mark.backend
def test_weights_that_another_callback_restores_are_masked_at_the_end():
    # The loss is highest in the first epoch, before pruning begins: what comes back is dense.
    restore = keras.callbacks.EarlyStopping("loss", mode="max", patience=9, restore_best_weights=True)
    model, watch = gru_model(), Watch()
    with pytest.warns(UserWarning, match="has masked 0.75 of the weights, but 0.75 were not zero.*AfterPruning"):
        fit(model, restore, MagnitudePruning(ConstantSparsity(0.75, begin_step=10)), watch)
    assert (restore.best_epoch, watch.epochs) == (0, [0, 0.75])
    assert measure(model) == 0.75


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras on torch refuses steps_per_execution > 1")
def test_several_steps_in_one_execution():
    # Due at 2, 5 and the end, 6: within the first four steps, the next four, never at a multiple of four.
    pruning, watch = MagnitudePruning(PolynomialDecay(0.25, 0.75, 2, 6, frequency=3)), Watch()
    model = gru_model(steps_per_execution=4)
    fit(model, pruning, watch, epochs=1)
    assert len(watch.batches) == 2
    assert 0.25 <= watch.batches[0] < watch.batches[1] == 0.75
    assert measure(model) == 0.75


@pytest.mark.backend_slow
def test_steps_are_updates_where_gradients_accumulate():
    watch = Watch()
    fit(
        gru_model(optimizers.SGD(0.1, gradient_accumulation_steps=4)),
        MagnitudePruning(ConstantSparsity(0.75, begin_step=1)),
        watch,
        epochs=1,
    )
    assert watch.batches == 3 * [0] + 5 * [0.75]


class Counted(layers.Dense):
    """Counts its calls, and so how often what calls it is traced."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return super().call(x)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the others build the optimizer in advance")
def test_the_train_step_is_traced_once():
    out = Counted(2)
    model = keras.Sequential([keras.Input((4, 3)), layers.GRU(8), out])
    model.compile("adam", "mse", jit_compile=False)
    before = out.calls
    fit(model, MagnitudePruning(ConstantSparsity(0.75, begin_step=2)), epochs=1)
    assert out.calls - before == 1


class FixedMask(keras.constraints.Constraint):
    def __init__(self, mask):
        self.mask = keras.ops.convert_to_tensor(mask.astype("float32"))

    def __call__(self, w):
        return keras.ops.convert_to_tensor(w) * self.mask


@pytest.mark.backend
def test_trains_as_a_constraint_with_the_same_mask_does():
    """A fixed mask as Keras's own kind of constraint, within the train step, is the same training."""
    pruned, constrained = gru_model(optimizers.AdamW(0.01)), gru_model(optimizers.AdamW(0.01))
    fit(pruned, MagnitudePruning(ConstantSparsity(0.75, begin_step=0, frequency=10**6)), epochs=1)
    for kernel, w0, w in zip(find_kernels(constrained)[0], weights(constrained), weights(pruned), strict=True):
        kernel.variable.assign(w0 * (w != 0))
        kernel.variable.constraint = FixedMask(w != 0)
    fit(constrained, epochs=1)
    for a, b in zip(pruned.get_weights(), constrained.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("block_shape", "scope"),
    [((1, 4), "layer"), ((2, 3), "global"), pytest.param((1, 1), "layer", marks=pytest.mark.slow)],
)
def test_reaches_the_sparsity_within_a_block_in_every_kind_of_layer(block_shape, scope):
    stack = [layers.GRUCell(5), layers.SimpleRNNCell(7)]
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            EventGRU(5, return_sequences=True, name="events"),
            layers.RNN(stack, return_sequences=True),
            layers.TimeDistributed(layers.Dense(9)),
            layers.Flatten(),
            layers.Dense(6),
        ]
    )
    model.compile("adam", "mse", jit_compile=JIT)
    pruning = MagnitudePruning(PolynomialDecay(0.1, 0.8, 0, 3, frequency=2), block_shape, scope, layers=lambda _: True)
    model.fit(X, np.tile(Y, 3), batch_size=8, verbose=0, callbacks=[pruning])
    sizes = {kernel.path: np.prod(kernel.variable.shape) for kernel in pruning.masks.kernels}
    assert len(sizes) == 12
    zeros = {path: share * sizes[path] for path, share in measure_kernels(model, lambda _: True).items()}
    if scope == "layer":
        assert all(abs(zeros[path] - 0.8 * size) <= np.prod(block_shape) for path, size in sizes.items())
    else:
        assert abs(sum(zeros.values()) - 0.8 * sum(sizes.values())) <= np.prod(block_shape)
        assert len({round(zeros[path] / size, 1) for path, size in sizes.items()}) > 1


def test_embedding_and_what_is_left_out():
    model = keras.Sequential([keras.Input((4,)), layers.Embedding(10, 8, name="words"), layers.GRU(4), layers.Dense(2)])
    model.compile("adam", "mse")
    pruning = MagnitudePruning(ConstantSparsity(0.5, 0), block_shape=(1, 4), layers=["words"])
    model.fit(np.arange(32).reshape(8, 4) % 10, Y[:8], verbose=0, callbacks=[pruning])
    assert measure(model, "words") == 0.5
    assert measure(model) == 0
    assert set(pruning.skipped.values()) == {"not in `layers`"}
    assert len(pruning.skipped) == 2


def test_last_step_of_a_schedule_counts_though_it_is_off_its_beat():
    watch = Watch()
    fit(gru_model(), MagnitudePruning(PolynomialDecay(0.0, 0.75, 0, 7, frequency=5)), watch, epochs=1)
    assert watch.batches[-2:] == [0.75, 0.75]
    assert 0 < watch.batches[-3] < 0.75


@pytest.mark.backend
def test_in_a_training_loop_of_ones_own():
    model, pruning, logs = gru_model(), MagnitudePruning(ConstantSparsity(0.75, begin_step=2)), {}
    pruning.set_model(model)
    pruning.on_train_begin()
    pruning.on_epoch_begin(0)
    seen = []
    for batch in range(4):
        model.train_on_batch(X, Y)
        pruning.on_train_batch_end(batch)
        seen.append(measure(model))
    pruning.on_epoch_end(0, logs)
    pruning.on_train_end()
    assert seen == [0, 0.75, 0.75, 0.75]
    assert logs == {"sparsity": 0.75}


def test_function_as_schedule():
    watch = Watch()
    fit(gru_model(), MagnitudePruning(lambda step: (step in (2, 4), step / 8)), watch, epochs=1)
    assert watch.batches == [0, 0.25, 0.25] + 5 * [0.5]


def dense_model(**compile_args):
    keras.utils.set_random_seed(7)
    parts = [layers.Dense(8, name="hidden"), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4, 3)), *parts])
    model.compile("adam", "mse", jit_compile=JIT, **compile_args)
    return model


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_steps_between_two_that_are_due_are_as_if_each_had_been_asked(steps_per_execution):
    schedule = PolynomialDecay(0.2, 0.8, 2, 13, frequency=5)  # due at 2, 7, 12 and 13
    seen, left = [], []
    for given in (schedule, lambda step: (step == 13 or schedule(step)[0], schedule(step)[1])):
        model = dense_model(steps_per_execution=steps_per_execution)
        pruning = MagnitudePruning(given, layers="hidden")
        of_batch = []
        look = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, of=of_batch, by=pruning: of.append(by.masks.sparsity)
        )
        fit(model, pruning, look)
        assert pruning.step == 16
        seen.append(of_batch)
        left.append(model.get_weights())
    assert seen[0] == seen[1] and len(set(seen[0])) > 2
    for ours, asked in zip(*left, strict=True):
        np.testing.assert_array_equal(ours, asked)


def test_the_step_is_known_at_any_time():
    steps, pruning = [], MagnitudePruning(ConstantSparsity(0.5, 6, frequency=100), layers="hidden")
    look = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(pruning.step))
    model = dense_model()
    fit(model, pruning, epochs=1)
    model.optimizer.iterations.assign(40)
    fit(model, pruning, look, epochs=1)
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8] and measure(model, "hidden") == 0.5


def test_a_decreasing_schedule_releases_weights():
    model = gru_model()
    fit(model, MagnitudePruning(PolynomialDecay(0.75, 0.25, 0, 4, power=1, frequency=1)), epochs=1)
    assert measure(model) == 0.25


@pytest.mark.backend
def test_goes_on_from_a_file_as_if_never_stopped(tmp_path):
    def pruning():
        return MagnitudePruning(PolynomialDecay(0.0, 0.75, 1, 13, frequency=3), block_shape=(1, 2))

    whole, first = gru_model(), gru_model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first half is too short for the schedule, and says so
        fit(whole, pruning(), epochs=1)
        fit(first, pruning(), epochs=1)
    first.save(tmp_path / "half.keras")
    second = keras.models.load_model(tmp_path / "half.keras")
    assert measure(second) == measure(first) > 0.3
    watch = Watch()
    fit(second, pruning(), watch, initial_epoch=1)
    fit(whole, pruning(), initial_epoch=1)
    assert watch.batches[0] == measure(first)
    assert measure(second) == pytest.approx(0.75)
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


class PowerCut(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 5:
            raise KeyboardInterrupt


def interrupted(*callbacks):
    with pytest.raises(KeyboardInterrupt):
        fit(gru_model(), *callbacks, PowerCut())


def test_goes_on_from_a_backup(tmp_path):
    def callbacks():
        return [
            MagnitudePruning(ConstantSparsity(0.75, begin_step=1)),
            keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2),
        ]

    interrupted(*callbacks())
    model, watch = gru_model(), Watch()
    fit(model, *callbacks(), watch)
    assert set(watch.batches) == {0.75}


def test_backup_written_before_masking_is_refused(tmp_path):
    def callbacks():
        return [
            keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2),
            MagnitudePruning(ConstantSparsity(0.75, begin_step=1)),
        ]

    interrupted(*callbacks())
    with pytest.raises(
        ValueError, match="is at step 4 and the schedule pruned to 0.75 at step 1.*before BackupAndRestore"
    ):
        fit(gru_model(), *callbacks())


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_zeros_that_are_there_are_a_floor(scope):
    model = gru_model()
    fit(model, MagnitudePruning(ConstantSparsity(0.5, 0), scope=scope), epochs=1)
    zeros = [w == 0 for w in weights(model)]
    model.compile("adam", "mse", jit_compile=JIT)
    watch = Watch()
    fit(model, MagnitudePruning(PolynomialDecay(0.0, 0.75, 0, 8, power=1, frequency=1), scope=scope), watch, epochs=1)
    assert watch.batches[:5] == 5 * [0.5]
    assert watch.batches[5:] == pytest.approx([6 / 8 * 0.75, 7 / 8 * 0.75, 0.75], abs=1 / 264)
    assert all(np.all(w[zero] == 0) for w, zero in zip(weights(model), zeros, strict=True))


def test_zeros_beyond_what_is_asked_stay_unless_told_otherwise():
    model = gru_model()
    fit(model, MagnitudePruning(ConstantSparsity(0.75, 0)), epochs=1)
    with pytest.warns(UserWarning, match=r"pruned to 0.75 already.*asks for 0.5 in the end.*keep_zeros=False"):
        fit(model, MagnitudePruning(ConstantSparsity(0.5, begin_step=4)), epochs=1)
    assert measure(model) == 0.75
    watch = Watch()
    fit(model, MagnitudePruning(ConstantSparsity(0.5, begin_step=4), keep_zeros=False), watch, epochs=1)
    assert watch.batches == 3 * [0] + 5 * [0.5]


def test_a_kernel_that_begins_as_zeros_is_not_pruned():
    zeros = layers.Dense(8, kernel_initializer="zeros", name="zeros")
    model = keras.Sequential([keras.Input((4, 3)), layers.Flatten(), zeros, layers.Dense(2, name="out")])
    model.compile("adam", "mse")
    fit(model, MagnitudePruning(ConstantSparsity(0.25, 4), layers=["zeros", "out"]), epochs=1)
    assert [np.count_nonzero(model.get_layer(name).get_weights()[0]) for name in ("zeros", "out")] == [72, 12]


def test_steps_are_those_of_this_fit_or_on_request_of_the_optimizer():
    schedule = PolynomialDecay(0.0, 0.75, 0, 8, power=1, frequency=1)
    for count_from, expected in [("fit", [n / 8 * 0.75 for n in range(1, 9)]), ("optimizer", 8 * [0.75])]:
        model, watch = gru_model(), Watch()
        fit(model, epochs=1)
        if count_from == "optimizer":  # by which the schedule has ended at step 8, where this fit begins
            fit(model, MagnitudePruning(schedule, count_from=count_from), watch, epochs=1)
        else:
            fit(model, MagnitudePruning(schedule), watch, epochs=1)
        assert watch.batches == pytest.approx(expected, abs=1 / 264)
    with pytest.raises(ValueError, match=r"count_from='epoch': must be one of \('fit', 'optimizer'\)"):
        MagnitudePruning(schedule, count_from="epoch")
    with pytest.raises(ValueError, match="count_from='optimizer': shares and epochs are of a fit"):
        MagnitudePruning(PolynomialDecay(0.0, 0.75, begin=0, end=1), count_from="optimizer")


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (ConstantSparsity(0.5, begin_step=9), "goes to step 8 only.*begins at step 9"),
        (PolynomialDecay(0.0, 0.5, 0, 20), "goes to step 8 only.*ends at step 20"),
    ],
)
def test_warns_of_a_fit_too_short_for_the_schedule(schedule, message):
    with pytest.warns(UserWarning, match=message):
        fit(gru_model(), MagnitudePruning(schedule), epochs=1)


def test_no_warning_when_all_is_well(recwarn):
    fit(gru_model(), MagnitudePruning(PolynomialDecay(0.0, 0.5, 0, 8)), epochs=1)
    assert not [w for w in recwarn if "MagnitudePruning" in str(w.message) or "pruned" in str(w.message)]


def test_two_callbacks_share_a_model_but_not_a_kernel():
    half, most = ConstantSparsity(0.5, 0), ConstantSparsity(2 / 3, 0)
    model = gru_model()
    callbacks = MagnitudePruning(half, (4, 2), layers="out"), MagnitudePruning(most, (1, 4), layers="gru")
    logged = fit(model, *callbacks, epochs=1).history["sparsity"]
    assert (measure(model, "out"), measure(model)) == (0.5, pytest.approx(2 / 3))
    assert [callback.masks.kept[0].shape for callback in callbacks] == [(2, 1, 1), (3, 3, 2)]
    sizes = [callback.masks.size for callback in callbacks]
    assert logged == [pytest.approx((0.5 * sizes[0] + 2 / 3 * sizes[1]) / sum(sizes))]
    with pytest.raises(ValueError, match="gru/gru_cell/kernel is pruned by two callbacks of this fit"):
        fit(model, MagnitudePruning(half), MagnitudePruning(most), epochs=1)
    fit(model, MagnitudePruning(most), epochs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": 0.9}, "schedule=0.9: must be a function"),
        ({"schedule": RampThreshold(0, 1, 2, q=0.1)}, "RampThreshold gives a threshold"),
        ({"block_shape": (0, 4)}, r"block_shape=\(0, 4\): must be a pair"),
        ({"scope": "model"}, r"scope='model': must be one of \('layer', 'global'\)"),
        ({"score": "l0"}, r"score='l0': must be one of \('l1', 'l2', 'max'\)"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MagnitudePruning(**{"schedule": ConstantSparsity(0.5, 0), **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "lstm"}, "layers: 'lstm' matches no layer with weights. The model has: gru, gru/gru_cell, out"),
        ({"layers": re.compile("lstm")}, "matches no layer"),
        ({"layers": []}, "has nothing to prune. Skipped: .*'gru/gru_cell': 'not in `layers`'"),
        ({"block_shape": (4, 4)}, "larger than a gate of gru/gru_cell/kernel, which has 3 rows and 8 columns"),
        ({"schedule": lambda step: (True, 1.0)}, r"schedule\(0\) gave the sparsity 1.0: must be in \[0, 1\)"),
    ],
)
def test_fit_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(gru_model(), MagnitudePruning(**{"schedule": ConstantSparsity(0.5, 0), **arguments}))


def test_model_must_be_compiled_and_built():
    pruning = MagnitudePruning(ConstantSparsity(0.5, 0))
    model = keras.Sequential([layers.GRU(3)])
    pruning.set_model(model)
    with pytest.raises(ValueError, match="is not compiled"):
        pruning.on_train_begin()
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="is not built"):
        pruning.on_train_begin()
