"""What tfmot itself makes of a model, against what becomes of it here. It runs apart: tfmot switches to Keras 2."""

import tempfile

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


def outputs(model, data):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(data))


def difference(some, others):
    if isinstance(some, list):
        return max(map(difference, some, others))
    return float(np.abs(some - np.array(others)).max())


def taken_over():
    """What becomes of models of tf_keras: results by their names, and the errors of those that are refused."""
    import tf_keras
    from tensorflow_model_optimization.sparsity import keras as tfmot
    from tf_keras import layers

    def sequential(*stack):
        return tf_keras.Sequential(list(stack))

    rng = np.random.default_rng(0)
    ints, floats = rng.integers(0, 9, (32, 7)), rng.normal(size=(32, 7, 3)).astype("float32")
    prune, strip = tfmot.prune_low_magnitude, tfmot.strip_pruning
    schedule = tfmot.ConstantSparsity(0.5, 0, frequency=1)
    results = {}

    words = sequential(
        layers.Input((7,)),
        layers.Embedding(9, 4),
        layers.LSTM(6, return_sequences=True, activation="softsign"),
        layers.SpatialDropout1D(0.1),
        layers.GRU(5, dropout=0.2),
        layers.Dropout(0.1),
        layers.Dense(3, "softmax"),
    )
    masked = sequential(
        layers.Input((None,)),
        layers.Embedding(9, 4, mask_zero=True),
        layers.GRU(5, reset_after=False, use_bias=False),
        layers.Dense(4, "gelu"),
        layers.Dense(2, "swish"),
    )
    flat = sequential(
        layers.Input((7, 3)),
        layers.Masking(),
        layers.LSTM(6, go_backwards=True, return_sequences=True),
        layers.Activation("elu"),
        layers.Flatten(),
        layers.Dense(4, "mish"),
        layers.RepeatVector(3),
        layers.Reshape((6, 2)),
        layers.GlobalMaxPooling1D(),
    )
    a, b = layers.Input((7,), name="tokens"), layers.Input((7, 3), name="signal")
    shared = layers.Dense(4, "relu")
    x = layers.Embedding(9, 4)(a)
    encoded, h = layers.GRU(4, return_sequences=True, return_state=True)(layers.Add()([shared(x), shared(shared(x))]))
    decoded = layers.GRU(4, return_sequences=True)(layers.Concatenate()([b, encoded]), initial_state=h)
    pooled = layers.GlobalAveragePooling1D()(decoded)
    graph = tf_keras.Model([a, b], [layers.Dense(2)(pooled), h], name="graph")

    x = layers.GRU(4, return_sequences=True)(layers.Dense(4)(b))
    y = layers.Dense(2)(layers.Concatenate()([layers.GRU(5)(x), layers.LSTM(5)(x)]))
    branched = tf_keras.Model(b, y, name="branched")

    for name, model, data in [("words", words, ints), ("flat", flat, floats), ("branched", branched, floats)]:
        pruned = prune(model, schedule)
        pruned.compile("adam", "mse", run_eagerly=True)
        target = np.ones((32, *pruned.output_shape[1:]))
        pruned.fit(data, target, verbose=0, callbacks=[tfmot.UpdatePruningStep()])
        pruned.train_on_batch(data, target)  # leaves weights that the masks do not allow until the next call
        wrapped = ksr.from_tfmot(pruned)
        # tfmot's wrappers swallow time masks, so that where there is one the stripped model is the one to compare with.
        stripped, expected = strip(pruned), pruned(data).numpy()
        expected = stripped(data).numpy() if name == "flat" else expected
        results[name] = [
            type(wrapped).__name__,
            wrapped.name == model.name,
            wrapped.layers[-1].name,
            difference(outputs(wrapped, data), expected),
            difference(outputs(ksr.from_tfmot(stripped), data), expected),
            ksr.sparsity.measure(wrapped, lambda layer: True),
        ]
    for name, model, data in [("masked", masked, ints), ("graph", graph, [ints, floats])]:
        results[name] = difference(outputs(ksr.from_tfmot(model), data), model(data))

    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="ave")
    around = sequential(
        layers.Input((7, 3)),
        layers.Conv1D(6, 3, padding="causal"),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.MaxPooling1D(2),
        both,
        layers.SimpleRNN(5, return_sequences=True),
        layers.TimeDistributed(layers.Dense(3)),
        layers.UpSampling1D(2),
    )
    around.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in around.get_weights()])
    results["around"] = difference(outputs(ksr.from_tf_keras(around), floats), around(floats))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("model.h5", "saved_model", "model.keras"):
            around.save(f"{folder}/{name}", **({"save_format": "tf"} if name == "saved_model" else {}))
            loaded = ksr.from_tf_keras(f"{folder}/{name}")
            results[name] = difference(outputs(loaded, floats), around(floats))

    refused = {}

    def refuse(name, model):
        try:
            ksr.from_tfmot(model)
        except (TypeError, ValueError) as error:
            refused[name] = [type(error).__name__, str(error)]

    refuse("other layer", sequential(layers.Input((7, 3)), layers.GaussianNoise(0.1, name="noise")))
    refuse("hard", sequential(layers.Input((7, 3)), layers.GRU(4, recurrent_activation="hard_sigmoid", name="hard")))
    refuse("own activation", sequential(layers.Input((7, 3)), layers.Dense(4, activation=lambda x: x * 2, name="own")))
    refuse("time major", sequential(layers.Input((7, 3)), layers.GRU(4, time_major=True, name="major")))
    refuse("nested", sequential(layers.Input((7, 3)), sequential(layers.Input((7, 3)), layers.GRU(4))))
    refuse("unbuilt", tf_keras.Sequential([layers.GRU(4)]))
    refuse("keras 3", ksr.from_tfmot(words))
    refuse("number", 3)

    class Own(tf_keras.Model):
        pass

    refuse("subclass", Own())

    class Mine(layers.Dense):
        pass

    refuse("own layer", sequential(layers.Input((7, 3)), Mine(4, name="mine")))
    refuse("mask", tf_keras.Model([b, m := layers.Input((7,), dtype="bool")], layers.GRU(4, name="masked")(b, mask=m)))
    return results, refused


@pytest.fixture(scope="module")
def imported(beside_tfmot):
    return beside_tfmot(taken_over)


@pytest.mark.parametrize(
    ("name", "kind", "last"),
    [
        ("words", "Sequential", "dense"),
        ("flat", "Sequential", "global_max_pooling1d"),
        ("branched", "Functional", "dense"),
    ],
)
def test_pruned_models_give_the_same_outputs_wrapped_and_stripped(imported, name, kind, last):
    of_kind, same_name, last_name, wrapped, stripped, sparsity = imported[0][name]
    assert (of_kind, same_name) == (kind, True)
    assert last_name.startswith(last)
    assert wrapped < 1e-6
    assert stripped < 1e-6
    assert sparsity == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["masked", "graph"])
def test_masks_states_and_shared_layers(imported, name):
    assert imported[0][name] < 1e-6


@pytest.mark.parametrize("name", ["around", "model.h5", "saved_model", "model.keras"])
def test_models_of_keras_2_and_their_files(imported, name):
    assert imported[0][name] < 1e-5


def test_a_path_without_a_model():
    with pytest.raises(FileNotFoundError, match=r"there is no model at 'nowhere\.h5'"):
        ksr.from_tf_keras("nowhere.h5")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "other layer",
            "ValueError",
            "The layer 'noise' is a GaussianNoise: supported are Activation",
        ),
        ("hard", "ValueError", "The layer 'hard' has recurrent_activation=hard_sigmoid: allowed are elu"),
        ("own activation", "ValueError", "The layer 'own' has activation=<lambda>: allowed are elu"),
        ("time major", "ValueError", "The layer 'major' has time_major=True"),
        ("nested", "ValueError", "is a Sequential: supported are"),
        ("unbuilt", "ValueError", "is not built"),
        ("keras 3", "TypeError", "is a Keras 3 model already"),
        ("number", "TypeError", "given: <class 'int'>"),
        ("subclass", "TypeError", "given: <class 'test_from_tfmot.taken_over.<locals>.Own'>"),
        ("own layer", "ValueError", "The layer 'mine' is a Mine"),
        ("mask", "ValueError", "The layer 'masked' is called with mask"),
    ],
)
def test_the_rest_is_refused_by_name(imported, name, error, message):
    assert imported[1][name][0] == error
    assert message in imported[1][name][1]


def test_no_tfmot_is_needed_to_refuse():
    with pytest.raises(TypeError, match="is a Keras 3 model already"):
        ksr.from_tfmot(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))


def steps_of_both():
    """For each step of each of two trainings `[zeros of theirs, zeros of ours, largest difference]`."""
    from tensorflow_model_optimization.sparsity import keras as tfmot

    rising = tfmot.PolynomialDecay(0.2, 0.9, begin_step=1, end_step=9, frequency=2)
    constant = tfmot.ConstantSparsity(0.6, begin_step=2, end_step=6, frequency=3)
    return [steps_with(schedule) for schedule in (rising, constant)]


def steps_with(schedule):
    import tf_keras
    from tensorflow_model_optimization.sparsity import keras as tfmot

    class Theirs(tf_keras.callbacks.Callback):
        # Their masks are made in the forward pass: read them after it, and the weights before.
        kernels = ()

        def on_train_batch_begin(self, batch, logs=None):
            self.before = [w.numpy() for layer in self.model.layers for w, _, _ in layer.pruning_vars]

        def on_train_batch_end(self, batch, logs=None):
            masks = [m.numpy() for layer in self.model.layers for _, m, _ in layer.pruning_vars]
            self.kernels += ([w * m for w, m in zip(self.before, masks, strict=True)],)

    class Ours(keras.callbacks.Callback):
        kernels = ()

        def on_train_batch_begin(self, batch, logs=None):
            kernels, _ = ksr.sparsity.find_kernels(self.model, lambda layer: True)
            self.kernels += ([np.array(keras.ops.convert_to_numpy(k.variable.value)) for k in kernels],)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(44, 5, 3)).astype("float32"), rng.normal(size=(44, 2)).astype("float32")
    tf_keras.utils.set_random_seed(1)
    lstm, gru = tf_keras.layers.LSTM(6, return_sequences=True), tf_keras.layers.GRU(7)
    dense = tf_keras.Sequential([tf_keras.layers.Input((5, 3)), lstm, gru, tf_keras.layers.Dense(2)])
    ours = ksr.from_tfmot(dense)
    theirs = tfmot.prune_low_magnitude(dense, schedule)
    theirs.compile(tf_keras.optimizers.SGD(0.5), "mse", run_eagerly=True)
    ours.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    watches, fit = (Theirs(), Ours()), {"batch_size": 4, "shuffle": False, "verbose": 0}
    theirs.fit(x, y, callbacks=[tfmot.UpdatePruningStep(), watches[0]], **fit)
    # Before update n + 1 they ask their schedule about step n + 1, and ours about step n: n updates are done.
    pruning = ksr.callbacks.MagnitudePruning(lambda step: schedule(step + 1), layers=lambda layer: True)
    ours.fit(x, y, callbacks=[pruning, watches[1]], **fit)
    return [
        [[float(np.mean(k == 0)) for k in kernels] for kernels in pair]
        + [max(float(np.abs(a - b).max()) for a, b in zip(*pair, strict=True))]
        for pair in zip(*(watch.kernels for watch in watches), strict=True)
    ]


def test_our_callback_with_their_schedules_trains_as_theirs_step_by_step(beside_tfmot):
    """LSTM, GRU and Dense from the same weights on the same batches, 11 steps: masks, and the weights between."""
    rising, constant = beside_tfmot(steps_of_both)
    for results in (rising, constant):
        assert len(results) == 11
        for step, (theirs, ours, difference) in enumerate(results):
            assert ours == theirs, f"step {step}"
            assert difference < 1e-5, f"step {step}"
    for (_, ours, _), sparsity in [(rising[0], 0.2), (rising[10], 0.9), (constant[0], 0), (constant[1], 0.6)]:
        assert ours == pytest.approx([sparsity] * 5, abs=0.05)
