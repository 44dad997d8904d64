"""Training for integers: against the integer model in every engine, the ops' definition, and Keras's own gradients."""

import functools

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.convert.options import ConvertOptions
from keras_sparse_rnn.convert.quantize import Scale
from keras_sparse_rnn.convert.recurrent import recurrent_layer
from keras_sparse_rnn.ops.activations import BY_NAME
from keras_sparse_rnn.quantization import QuantizationAware, Ranges, fake_quantized
from keras_sparse_rnn.quantization.activations import IN_INTEGERS

STEPS, FEATURES, UNITS = 9, 5, 12
RECURRENT = {  # and how far a gradient may be from that in floats: events and changes are sent at other steps
    "GRU": (keras.layers.GRU, {}, 0.03),
    "LSTM": (keras.layers.LSTM, {}, 0.03),
    "SimpleRNN": (keras.layers.SimpleRNN, {}, 0.03),
    "GRU, reset before": (keras.layers.GRU, {"reset_after": False}, 0.03),
    "GRU, other gates": (keras.layers.GRU, {"activation": "gelu", "recurrent_activation": "softsign"}, 0.03),
    "LightGRU, hard": (
        ksr.layers.LightGRU,
        {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False},
        0.12,
    ),
    "FastGRNN": (ksr.layers.FastGRNN, {}, 0.03),
    "FastGRNN, other gates": (
        ksr.layers.FastGRNN,
        {"activation": "silu", "recurrent_activation": "hard_sigmoid", "use_bias": False},
        0.05,
    ),
    "RecurrentHighway": (ksr.layers.RecurrentHighway, {"depth": 3}, 0.03),
    "RecurrentHighway, not coupled": (
        ksr.layers.RecurrentHighway,
        {"depth": 2, "coupled": False, "activation": "gelu", "recurrent_activation": "softsign"},
        0.05,
    ),
    "EventGRU": (ksr.layers.EventGRU, {"readout": "trace"}, 0.15),
    "EventGRU, no reset gate": (ksr.layers.EventGRU, {"readout": "cell", "reset_gate": False}, 0.15),
    "DeltaGRU": (ksr.layers.DeltaGRU, {"input_threshold": 0.5, "hidden_threshold": 0.1, "reset_after": False}, 0.15),
    "DeltaDense": (ksr.layers.DeltaDense, {"input_threshold": 0.1, "activation": "tanh"}, 0.1),
    "DeltaLSTM": (ksr.layers.DeltaLSTM, {"input_threshold": 0.5, "hidden_threshold": 0.1}, 0.15),
    "DeltaSimpleRNN": (
        ksr.layers.DeltaSimpleRNN,
        {"input_threshold": 0.1, "hidden_threshold": 0.05, "trainable_threshold": True},
        0.2,
    ),
}
SLOWLY = {"FastGRNN, other gates", "RecurrentHighway, not coupled"}
FORMATS = (("int8", "gate"), ("int8", "output"), ("int4", "gate"))


def recurrent(kind):
    layer, arguments, _ = RECURRENT[kind]
    return layer(UNITS, return_sequences=True, **arguments)


def data(samples=48, seed=0):
    x = np.random.default_rng(seed).normal(size=(samples, STEPS, FEATURES)).astype("float32")
    return x, (x[:, :, 0].sum(axis=1) > 0).astype(int)


def built(*layers, optimizer="adam", loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *layers])
    model.compile(optimizer, loss)
    return model


def trained(model, *callbacks, epochs=2, **options):
    x, y = data()
    training = QuantizationAware(**options)
    with np.errstate(all="raise"):
        model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[*callbacks, training])
    return training.ranges


@pytest.mark.parametrize("name", IN_INTEGERS)
@pytest.mark.parametrize(("more", "bits"), [(0, 0), (3, 2)])
def test_activations_are_those_of_the_ops(name, more, bits):
    value = np.arange(-(10 << 7), 10 << 7) * (1 << more) + 3 * (more > 0)
    defined = BY_NAME[name].integer(value, more, bits) / 2 ** (15 - bits)
    ours = IN_INTEGERS[name]((value / 2 ** (7 + more)).astype("float32"), 2.0 ** (7 + more), 2.0 ** (15 - bits))
    counts = np.abs(keras.ops.convert_to_numpy(ours) - defined) * 2 ** (15 - bits)
    assert counts.max() <= 1 and np.mean(counts > 0) < 0.02


def in_steps(difference, scale):
    return float(np.abs(difference).max() / scale)


@pytest.mark.slow_but(scales=["output"])
@pytest.mark.parametrize(
    ("weights", "scales", "more", "engines"),
    [
        (
            "int4",
            "gate",
            [
                ksr.layers.EventGRU(UNITS, return_sequences=True),
                ksr.layers.DeltaHold(0.05),
                ksr.layers.LightGRU(UNITS, "relu", "hard_sigmoid", return_sequences=True),
            ],
            ("reference", "native", "litert", "tflm"),
        ),
        (
            "int8",
            "output",
            [keras.layers.Conv1D(6, 3, activation="relu"), keras.layers.MaxPooling1D(2)],
            ("litert", "tflm"),
        ),
    ],
)
def test_outputs_of_the_integer_model_are_those_of_the_trained_one_in_every_engine(weights, scales, more, engines):
    model = built(
        keras.layers.GRU(UNITS, return_sequences=True, dropout=0.1),
        keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True)),
        *more,
        keras.layers.SimpleRNN(UNITS, return_sequences=True),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(2, activation="softmax"),
    )
    pruning = ksr.callbacks.MagnitudePruning(ksr.schedules.ConstantSparsity(0.5, 0), (1, 4))
    ranges = trained(model, pruning, weights=weights, scales=scales)
    x = data(16, seed=1)[0]
    with fake_quantized(model, ranges):
        expected = model.predict(x, verbose=0)
    converted = ksr.convert(model, ranges=ranges, weights=weights, scales=scales)
    assert all(layer.sparsity >= 0.45 for layer in converted.report.layers)
    for engine in engines:
        assert in_steps(converted.predict(x, engine) - expected, 1 / 256) <= 1.01, engine
    assert np.abs(expected - model.predict(x, verbose=0)).max() > 0  # floats again


def test_rows_of_an_embedding_are_rounded_too():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Embedding(7, FEATURES), keras.layers.GRU(UNITS), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((STEPS,), dtype="int32"), *layers])
    model.compile("adam", "mse")
    words, training = np.random.default_rng(0).integers(0, 7, (32, STEPS)), QuantizationAware()
    model.fit(words, np.eye(2)[words[:, 0] % 2], batch_size=16, epochs=2, verbose=0, callbacks=[training])
    with fake_quantized(model, training.ranges):
        expected = model.predict(words, verbose=0)
    scale = Scale.of_range(*training.ranges[layers[2].name]).scale
    converted = ksr.convert(model, ranges=training.ranges)
    assert in_steps(converted.predict(words.astype("int32")) - expected, scale) <= 1.01


@pytest.mark.slow_but(kind=["GRU", "LSTM", "EventGRU", "DeltaGRU"])
@pytest.mark.backend(kind=["LSTM", "EventGRU"])
@pytest.mark.backend_slow
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param(
            kind, i % 3, id=f"{kind}, {'/'.join(FORMATS[i % 3])}", marks=pytest.mark.slow if kind in SLOWLY else ()
        )
        for i, kind in enumerate((*RECURRENT, "DeltaHold"))
    ],
)
def test_a_layer_computes_what_the_definition_of_its_op_does(kind, number):
    weights, scales = FORMATS[number]
    hold = ksr.layers.DeltaHold(0.5) if kind == "DeltaHold" else None
    layer = keras.layers.GRU(UNITS, return_sequences=True) if hold else recurrent(kind)
    layers = [hold, layer] if hold else [layer]
    model = built(*layers, loss="mse", optimizer=keras.optimizers.SGD(0.5))
    x = data()[0]
    training = QuantizationAware(weights, scales=scales)
    model.fit(x, np.zeros((len(x), STEPS, UNITS)), batch_size=16, epochs=2, verbose=0, callbacks=[training])
    ranges, name = training.ranges, layer.name
    with fake_quantized(model, ranges):
        ours = model.predict(x, verbose=0)

    converter = recurrent_layer(layer, hold=hold)
    scale, output = Scale.of_range(*ranges["inputs/0"]), Scale.of_range(*ranges[name])
    seen = _Seen({state: np.array(ranges[f"{name}/{state}"]) for state in converter.ranged})
    op = converter.integer_op(4, scale, output, seen, ConvertOptions(weights=weights, scales=scales))
    defined = np.stack([op(scale.quantize(sample)) for sample in x])
    difference = np.abs(ours / output.scale + output.zero_point - defined)
    assert difference.max() < 1.01 and np.mean(difference > 0.5) < 0.005


class _Seen:
    def __init__(self, states):
        self.states = states


@pytest.mark.slow_but(kind=["LSTM", "EventGRU", "LightGRU, hard"])
@pytest.mark.backend(kind=["LSTM", "EventGRU"])
@pytest.mark.backend_slow
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind in {*SLOWLY, "FastGRNN", "RecurrentHighway"} else ())
        for kind in RECURRENT
    ],
)
def test_gradients_are_those_of_keras_but_for_rounding(kind):
    """Of the second step, since the first records ranges in floats. The loss is linear: its gradient is that of the
    layer alone."""
    x = np.concatenate([data(16)[0]] * 2)
    wanted = np.random.default_rng(1).normal(size=(32, STEPS, UNITS)).astype("float32")
    moved = {}
    for label, callbacks in (("floats", []), ("integers", [QuantizationAware()])):
        optimizer = keras.optimizers.SGD(1.0)
        keras.utils.set_random_seed(0)  # before the layer draws its own
        model = built(recurrent(kind), loss=lambda y, p: y * p, optimizer=optimizer)
        before = model.get_weights()
        wanted[16:] = wanted[:16]
        model.fit(x, wanted, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
        moved[label] = [after - w for after, w in zip(model.get_weights(), before, strict=True)]
    floats, integers = (np.concatenate([np.ravel(w) for w in weights]) for weights in moved.values())
    assert np.linalg.norm(integers - floats) < RECURRENT[kind][2] * np.linalg.norm(floats)


def test_the_model_is_a_plain_keras_model_at_any_time(tmp_path):
    model = built(keras.layers.GRU(UNITS), keras.layers.Dense(2, activation="softmax"))
    weights, variables = len(model.weights), len(model.variables)
    saved = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    ranges = trained(model, saved)
    assert (len(model.weights), len(model.variables)) == (weights, variables)
    assert not any({"call", "inner_loop"} & set(vars(layer)) for layer in model.layers)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = data()[0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    ranges.save(tmp_path / "model.ranges.json")
    again = Ranges.load(tmp_path / "model.ranges.json")
    assert again == ranges
    first, second = (ksr.convert(loaded, ranges=again), ksr.convert(model, ranges=ranges))
    np.testing.assert_array_equal(first.predict(x), second.predict(x))


def test_it_begins_at_a_step_and_validates_in_integers():
    model = built(keras.layers.GRU(UNITS), keras.layers.Dense(2, activation="softmax"))
    x, y = data()
    training = QuantizationAware(begin=3)
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, validation_data=(x, y), callbacks=[training]).history
    in_floats = model.evaluate(x, y, verbose=0)
    with fake_quantized(model, training.ranges):
        in_integers = model.evaluate(x, y, verbose=0)
    assert in_integers != in_floats
    assert history["val_loss"][-1] == pytest.approx(in_integers, abs=1e-6)


class TestSteps:
    """`begin` counts updates of the optimizer, and a fit without a step in integers says so."""

    @pytest.mark.parametrize(("begin", "steps_per_execution", "rounds"), [(1, 1, True), (5, 3, True), (6, 1, False)])
    def test_begin(self, begin, steps_per_execution, rounds):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((STEPS, FEATURES)), keras.layers.GRU(4), keras.layers.Dense(2)])
        model.compile("adam", "mse", steps_per_execution=steps_per_execution)
        x, y = data()
        training = QuantizationAware(begin=np.int64(begin))
        fit = functools.partial(model.fit, x, np.eye(2)[y], batch_size=16, epochs=3, verbose=0, callbacks=[training])
        if steps_per_execution > 1:  # 3 executions of 3 updates: the last is in integers
            fit()
        elif rounds:
            fit(epochs=1)
        else:
            fit = functools.partial(fit, epochs=2)
            with pytest.warns(UserWarning, match=r"\(begin=6\) has trained no step in integers.* ended at step 6\."):
                fit()
        assert (training.ranges is not None) == rounds


class _Fails(keras.callbacks.Callback):
    def __init__(self, hook):
        super().__init__()
        self.seen = 0
        setattr(self, hook, self._fail)

    def _fail(self, *_, **__):
        self.seen += 1
        if self.seen == 4:
            raise KeyboardInterrupt


class TestInterrupted:
    @pytest.mark.backend_slow
    @pytest.mark.parametrize(
        "hook",
        [
            pytest.param("on_train_batch_begin", marks=pytest.mark.slow),
            "on_train_batch_end",
            pytest.param("on_test_batch_end", marks=pytest.mark.slow),
        ],
    )
    def test_the_model_is_a_plain_one_afterwards(self, hook, tmp_path):
        model = built(keras.layers.GRU(UNITS, name="gru"), keras.layers.Dense(2, name="dense"), loss="mse")
        x, y = data()
        y, training = np.eye(2)[y].astype("float32"), QuantizationAware()
        with pytest.raises(KeyboardInterrupt):
            model.fit(
                *(x, y),
                batch_size=16,
                epochs=9,
                verbose=0,
                validation_data=(x, y),
                callbacks=[training, _Fails(hook)],
            )
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        outputs = loaded.predict(x, verbose=0)
        np.testing.assert_allclose(model.predict(x, verbose=0), outputs, atol=1e-6)
        loss = float(np.mean((outputs - y) ** 2))
        assert model.evaluate(x, y, verbose=0) == pytest.approx(loss, rel=1e-5)
        # The loss of a fit that moves nothing is that of the plain model, in each of its batches.
        model.optimizer.learning_rate = 0.0
        model.fit(x, y, batch_size=16, verbose=0)
        history = model.fit(x, y, batch_size=16, verbose=0).history
        assert history["loss"][0] == pytest.approx(loss, rel=1e-5)
        training.on_train_end()
        with fake_quantized(model, training.ranges):
            assert np.abs(model.predict(x, verbose=0) - outputs).max() > 1e-4
        again = QuantizationAware()
        model.fit(x, y, batch_size=16, verbose=0, callbacks=[again])
        assert set(again.ranges.of) == {"inputs/0", "gru", "gru/h", "dense"}


class _Watches(keras.callbacks.Callback):
    def __init__(self, x, ranges):
        super().__init__()
        self._x, self._ranges, self.apart = x, ranges, []

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        plain = model.predict(self._x, verbose=0)
        with fake_quantized(model, self._ranges):
            self.apart.append(float(np.abs(model.predict(self._x, verbose=0) - plain).max()))
        np.testing.assert_array_equal(model.predict(self._x, verbose=0), plain)


@pytest.mark.slow
@pytest.mark.backend
@pytest.mark.parametrize("callbacks", [pytest.param([], marks=pytest.mark.slow), [QuantizationAware]])
def test_integers_can_be_watched_from_a_callback_of_a_running_fit(callbacks):
    model = built(keras.layers.GRU(UNITS), keras.layers.Dense(2, activation="softmax"))
    x, y = data()
    watching = _Watches(x, trained(model))
    fitted = [callback() for callback in callbacks]
    model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[*fitted, watching])
    assert len(watching.apart) == 3 and min(watching.apart) > 1e-4


class _OwnGRU(keras.layers.GRU):
    """A layer with a step of its own, as far as training for integers knows."""


class TestRefused:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"weights": "int2"},
            {"activations": "int4"},
            {"scales": "layer"},
            {"begin": -1},
            {"begin": 0.5},
            {"momentum": 1},
            {"momentum": "a"},
        ],
    )
    def test_an_argument_out_of_range(self, arguments):
        with pytest.raises(ValueError, match=f"^{next(iter(arguments))} must be"):
            QuantizationAware(**arguments)

    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (
                _OwnGRU(4, return_sequences=True, name="bad"),
                "layer 'bad' .* cannot be trained for integers; can be: ",
            ),
            (
                ksr.layers.ONLSTM(4, 2, return_sequences=True, name="bad"),
                r"layer 'bad' \(ONLSTM\) cannot be trained for integers",
            ),
            (keras.layers.BatchNormalization(name="bad"), "layer 'bad' .* cannot be trained for integers"),
            (keras.layers.Dense(4, "elu", name="bad"), "layer 'bad' has activation=elu"),
            (keras.layers.Dense(4, "gelu", name="bad"), "layer 'bad' has activation=gelu"),
            (keras.layers.Activation("gelu", name="bad"), "layer 'bad' has activation=gelu"),
            (
                ksr.layers.EventGRU(4, recurrent_dropout=0.1, return_sequences=True, name="bad"),
                "layer 'bad' has recurrent_dropout=0.1",
            ),
            (keras.layers.GRU(4, "mish", return_sequences=True, name="bad"), "layer 'bad' has activation=mish"),
            (keras.layers.RNN(keras.layers.GRUCell(4), return_sequences=True, name="bad"), "layer 'bad' cannot be"),
        ],
    )
    def test_a_layer_at_the_beginning_of_fit(self, layer, message):
        model = built(layer, keras.layers.GRU(4), keras.layers.Dense(2))
        before = model.get_weights()
        with pytest.raises(ValueError, match=message):
            trained(model)
        np.testing.assert_array_equal(model.get_weights()[0], before[0])

    def test_ranges_that_are_none(self):
        with pytest.raises(ValueError, match="range of 'gru' is nan to 1; it must be finite"):
            Ranges({"gru": (np.nan, 1)})
        model = built(keras.layers.GRU(4, name="gru"))
        with pytest.raises(ValueError, match="the ranges have none of 'inputs/0'"):
            ksr.convert(model, ranges=Ranges({"gru": (-1, 1)}))
        with pytest.raises(ValueError, match="scales must be that of the training, 'gate'; given: 'output'"):
            ksr.convert(model, ranges=Ranges({"gru": (-1, 1)}), scales="output")
        with pytest.raises(ValueError, match=r"ranges must be ksr\.quantization\.Ranges, .*; given: dict"):
            ksr.convert(model, ranges={"gru": (-1, 1)})

    @pytest.mark.parametrize(
        "content",
        [
            b'{"scales": "gate"}',
            b'{"of": {"gru": [-1, 1]}, "weights": "int99"}',
            b'{"of": {"gru": [-1, 1]}, "scales": 5}',
            b'{"of": {}}',
            b'{"of": {"gru": [-1, 0, 1]}}',
            b'{"of": {"gru": ["a", "b"]}}',
            b'{"of": {"gru": 1}}',
            b"[]",
            b"\xff\xfe\x00",
        ],
    )
    def test_a_file_that_holds_something_else(self, tmp_path, content):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.json does not hold ranges as Ranges\.save writes them: "):
            Ranges.load(tmp_path / "a.json")

    def test_ranges_without_those_of_the_states(self):
        model = built(keras.layers.GRU(4, name="gru"))
        with pytest.raises(ValueError, match="the ranges have none of 'gru/h'"):
            ksr.convert(model, ranges=Ranges({"inputs/0": (-1, 1), "gru": (-1, 1)}))

    def test_data_that_are_not_finite(self):
        model = built(keras.layers.GRU(4), keras.layers.Dense(2, activation="softmax"))
        x, y = data()
        with pytest.raises(ValueError, match="the range of 'inputs/0' is nan to nan; it must be finite"):
            model.fit(x * np.nan, y, verbose=0, callbacks=[QuantizationAware()])

    def test_a_model_that_computes_in_integers_already(self):
        model = built(keras.layers.GRU(4, name="gru"), keras.layers.Dense(2, activation="softmax", name="dense"))
        x, y = data()
        with pytest.raises(ValueError, match="already computes in integers: this fit has two"):
            model.fit(x, y, verbose=0, callbacks=[QuantizationAware(), QuantizationAware()])
        ranges = trained(model)
        with pytest.raises(ValueError, match="ranges must be ksr.quantization.Ranges.*given: NoneType"):  # noqa: SIM117
            with fake_quantized(model, None):
                pass
        with fake_quantized(model, ranges):
            for again in (
                lambda: fake_quantized(model, ranges).__enter__(),
                lambda: ksr.convert(model, ranges=ranges),
                lambda: trained(model),
            ):
                with pytest.raises(ValueError, match="model 'sequential.*' already computes in integers: leave"):
                    again()
        ksr.convert(model, ranges=ranges)
