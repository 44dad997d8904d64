"""What fit leaves against what was asked: said with numbers whatever undid it, and the recipes that do not."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse_rnn.callbacks import AfterPruning, MagnitudePruning, RigL, ThresholdPruning
from keras_sparse_rnn.schedules import ConstantSparsity, PolynomialDecay, RampThreshold
from keras_sparse_rnn.sparsity import measure

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(32, 4, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")
RAMP = PolynomialDecay(0.0, 0.75, 4, 16, frequency=4)  # ends with the second epoch


def gru_model(kind=keras.Model):
    keras.utils.set_random_seed(7)
    inputs = keras.Input((4, 3))
    model = kind(inputs, layers.Dense(2)(layers.GRU(8, name="gru")(inputs)))
    model.compile("adam", "mse", jit_compile=BACKEND == "jax")
    return model


def fit(model, *callbacks, epochs=4, **args):
    """8 batches of 4 an epoch, always the same; the loss that others look at rises from epoch to epoch."""
    rising = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(rising=epoch))
    first, *others = callbacks
    data = args.pop("data", {"x": X, "y": Y, "batch_size": 4})
    return model.fit(**data, epochs=epochs, shuffle=False, verbose=0, callbacks=[first, rising, *others], **args)


def stopping(restore=True):
    return keras.callbacks.EarlyStopping("rising", mode="min", patience=1, restore_best_weights=restore)


def told(record):
    return [str(w.message) for w in record if "was to bring" in str(w.message)]


@pytest.mark.backend
def test_best_weights_of_a_less_sparse_epoch_are_told():
    model = gru_model()
    with pytest.warns(UserWarning) as record:
        history = fit(model, MagnitudePruning(RAMP), stopping()).history
    left = measure(model)
    assert history["sparsity"] == [pytest.approx(left), 0.75]
    assert 0.1 < left < 0.6
    (message,) = told(record)
    assert f"a sparsity of 0.75, but the model that training leaves has a sparsity of {left:.3g}. " in message
    assert "Its masks have 0.75: other weights were put in after the last step" in message


@pytest.mark.backend
def test_after_pruning_the_best_epoch_is_a_sparse_one(tmp_path, recwarn):
    model, early = gru_model(), stopping()
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "rising", mode="min", save_best_only=True)
    history = fit(model, MagnitudePruning(RAMP), AfterPruning(early, best), epochs=9).history
    assert (early.best_epoch, early.stopped_epoch) == (1, 2)
    assert history["sparsity"][1:] == [0.75, 0.75]
    assert measure(model) == measure(keras.models.load_model(tmp_path / "best.keras")) == 0.75
    assert not told(recwarn)


@pytest.mark.backend
def test_a_best_file_of_a_less_sparse_epoch_is_told(tmp_path, recwarn):
    model, path = gru_model(), str(tmp_path / "best.keras")
    best = keras.callbacks.ModelCheckpoint(path, "rising", mode="min", save_best_only=True)
    last = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
    history = fit(model, MagnitudePruning(RAMP), best, last, backup, epochs=2).history
    saved = measure(keras.models.load_model(path))
    assert history["sparsity"] == [pytest.approx(saved), 0.75] and saved < 0.6
    (message,) = [str(w.message) for w in recwarn if "saved last" in str(w.message)]
    assert message.startswith(
        f"MagnitudePruning has brought the model a sparsity of 0.75, but '{path}', which ModelCheckpoint saved last, "
        f"has a sparsity of {saved:.3g}. "
    )
    assert not {"save", "save_weights"} & set(vars(model))


def test_after_pruning_saves_no_batch_before_and_needs_a_pruning(tmp_path):
    path = str(tmp_path / "{batch}.weights.h5")
    every = keras.callbacks.ModelCheckpoint(path, save_freq=4, save_weights_only=True)
    fit(gru_model(), MagnitudePruning(ConstantSparsity(0.75, begin_step=6)), AfterPruning(every), epochs=1)
    assert [file.name for file in tmp_path.iterdir()] == ["6.weights.h5"]
    fixed = stopping()
    fit(gru_model(), RigL(0.25, 0.3, frequency=3), AfterPruning(fixed))
    assert fixed.stopped_epoch == 1
    with pytest.raises(ValueError, match=r"AfterPruning\(EarlyStopping\): no callback of this fit prunes"):
        fit(gru_model(), AfterPruning(stopping()))


class Load(keras.callbacks.Callback):
    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


@pytest.mark.parametrize(
    "pruning",
    [
        lambda: MagnitudePruning(ConstantSparsity(0.75, begin_step=0)),
        lambda: ThresholdPruning(RampThreshold(0, 1, 2, q=0.2, frequency=1)),
        lambda: RigL(0.25, 0.3, frequency=3),
    ],
)
def test_weights_that_any_callback_loads_are_told(pruning):
    model, method = gru_model(), pruning()
    with pytest.warns(UserWarning) as record:
        fit(model, method, Load(model.get_weights()), epochs=1)
    (message,) = told(record)
    assert method.masks.sparsity > 0.2
    asked = f"{type(method).__name__} was to bring a sparsity of {method.masks.sparsity:.3g}, "
    assert message.startswith(asked + "but the model that training leaves has a sparsity of 0. Its masks have")


class Idle(keras.Model):
    """A train step that has, like those of many GANs, nothing to do with the optimizer of `compile`."""

    def train_step(self, *state_and_data):
        logs = {"loss": keras.ops.zeros(())}
        return (logs, state_and_data[0]) if BACKEND == "jax" else logs


@pytest.mark.backend
def test_an_optimizer_that_never_moves_is_told():
    with pytest.warns(UserWarning) as record:
        fit(gru_model(Idle), MagnitudePruning(ConstantSparsity(0.75, begin_step=4)), epochs=1)
    (message,) = told(record)
    assert "has a sparsity of 0. The optimizer whose updates it counts, Adam, has made none in 8 batches." in message


@pytest.mark.backend
@pytest.mark.skipif(BACKEND == "jax", reason="a train step without state, in which another optimizer has no place")
def test_the_optimizer_that_trains_the_kernels_is_the_one_that_counts():
    class Second(keras.Model):
        def train_step(self, data):
            x, y = data
            variables = self.trainable_variables
            if BACKEND == "torch":
                self.zero_grad()
                self.compiled_loss_of(x, y).backward()
                self.second.apply([v.value.grad for v in variables], variables)
                return {"loss": 0.0}
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = self.compiled_loss_of(x, y)
            self.second.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

        def compiled_loss_of(self, x, y):
            return keras.ops.mean((self(x) - y) ** 2)

    model = gru_model(Second)
    model.second = keras.optimizers.SGD(0.1, use_ema=True)
    model.second.build(model.trainable_variables)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        fit(model, MagnitudePruning(ConstantSparsity(0.75, begin_step=4)), epochs=1)
    assert measure(model) == 0.75


def of_unknown_size(samples=32):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((X[:samples], Y[:samples])).batch(4)
    return {"x": batches.filter(lambda x, y: True)}


def test_a_schedule_that_never_ends_is_told_though_the_size_is_unknown():
    for schedule, sparsity, course in [
        (ConstantSparsity(0.75, begin_step=100), "0", "begins at step 100"),
        (PolynomialDecay(0.0, 0.75, 0, 32, power=1, frequency=1), "0.186", "ends at step 32"),
        (lambda step: (step == 50, 0.75), "0", "has not acted"),
    ]:
        with pytest.warns(UserWarning) as record:
            fit(gru_model(), MagnitudePruning(schedule), epochs=1, data=of_unknown_size())
        (message,) = told(record)
        assert f"has a sparsity of {sparsity}" in message
        assert message.endswith(f"It stopped at step 8; its schedule {course}.")


def test_a_threshold_that_has_not_ended_is_told():
    with pytest.warns(UserWarning) as record:
        fit(gru_model(), ThresholdPruning(RampThreshold(0, 10, 20, q=0.2)), epochs=1)
    assert "to bring its schedule to end" in told(record)[0] and "ends at step 20" in told(record)[0]


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen, self.steps, self.tests = [], [], []

    def on_test_begin(self, logs=None):
        self.tests.append(measure(self.model))

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(measure(self.model))
        self.steps.append(int(self.model.optimizer.iterations))


def test_shares_of_the_fit_and_epochs_are_steps(recwarn):
    seen = []
    for schedule in (
        PolynomialDecay(0.0, 0.75, 8, 24, frequency=2),
        PolynomialDecay(0.0, 0.75, begin=0.25, end=0.75, frequency=2),
        PolynomialDecay(0.0, 0.75, begin=1, end=3, unit="epochs", frequency=2),
    ):
        watch = Watch()
        fit(gru_model(), MagnitudePruning(schedule), watch)
        seen.append(watch.seen)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][8] == 0 < seen[0][9] < seen[0][15] < seen[0][23] == 0.75
    assert not told(recwarn)


@pytest.mark.backend
def test_of_unknown_size_what_is_due_in_the_first_epoch_happens_at_its_end():
    watch = Watch()
    schedule = PolynomialDecay(0.0, 0.75, begin=0, end=1, power=1, frequency=1)
    history = fit(
        gru_model(), MagnitudePruning(schedule), watch, epochs=2, data=of_unknown_size(), validation_data=(X, Y)
    ).history
    assert watch.seen[:8] == 8 * [0]
    assert history["sparsity"] == [0.375, 0.75]
    # Keras on TensorFlow makes two updates on the first batch of the second epoch of such data.
    assert watch.seen[8:] == pytest.approx([min(n / 16, 1) * 0.75 for n in watch.steps[8:]], abs=1 / 264)
    assert watch.steps[-1] - 16 in (0, 1)
    assert watch.tests == pytest.approx([0, 0.75])
    with pytest.raises(
        ValueError, match="begins at begin=0.0 in unit='fit', but how many steps this fit makes is unkn"
    ):
        fit(gru_model(), MagnitudePruning(schedule), epochs=1, data=of_unknown_size())


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_selected_and_cannot_be_pruned_is_told_once(frozen):
    keras.utils.set_random_seed(7)
    first = layers.GRU(8, return_sequences=True, trainable=not frozen, name="first")
    model = keras.Sequential([keras.Input((4, 3)), first, layers.GRU(8, name="second"), layers.Dense(2)])
    model.compile("adam", "mse")
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        fit(model, MagnitudePruning(ConstantSparsity(0.75, 0)), epochs=2)
    messages = [str(w.message) for w in record if "leaves out" in str(w.message)]
    reasons = "; ".join(f"first/gru_cell/{name}: not trainable" for name in ("kernel", "recurrent_kernel"))
    assert messages == [f"MagnitudePruning leaves out what it was to prune. {reasons}."] * frozen
