"""The counts are held to loops over every weight and to the numbers of Keras's own layers."""

import keras
import numpy as np
import pytest

from keras_sparse_rnn.layers import ONLSTM, DeltaGRU, DeltaHold, EventGRU, EventGRUCell, RecurrentHighway
from keras_sparse_rnn.profiling import count_dense_macs, count_macs, record_events


def prune(layer, share, rng):
    layer.set_weights(
        [w * (rng.random(w.shape) > share) if w.ndim == 2 and len(w) > 2 else w for w in layer.get_weights()]
    )


def model_of(*layers, time=6, features=5):
    model = keras.Sequential([keras.Input((time, features)), *layers])
    rng = np.random.default_rng(1)
    for layer in layers:
        prune(layer, 0.6, rng)
    x = rng.normal(size=(4, time, features)).astype("float32")
    x[rng.random(x.shape) < 0.3] = 0
    valid = np.arange(time) >= rng.integers(0, time, size=(4, 1))
    return model, x, valid


def brute_force(layer, x, valid, backwards=False):
    """MACs per step by stepping the cell itself and looking at each weight on its own."""
    kernel, recurrent = (np.array(w) for w in layer.get_weights()[:2])
    config = {**layer.cell.get_config(), "readout": "event"}
    cell = EventGRUCell.from_config(config)
    cell.build((None, x.shape[-1]))
    cell.set_weights(layer.get_weights())
    macs, steps = 0, 0
    for sample, counted in zip(x, valid, strict=True):
        states = cell.get_initial_state(1)
        times = range(len(sample) - 1, -1, -1) if backwards else range(len(sample))
        for t in times:
            before = keras.ops.convert_to_numpy(states[0])[0]
            if counted[t]:
                steps += 1
                for source, matrix in ((sample[t], kernel), (before, recurrent)):
                    macs += sum(source[i] != 0 and w != 0 for i, row in enumerate(matrix) for w in row)
            _, states = cell(sample[None, t], states)
    return macs / steps


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("readout", ["event", "cell", "trace"])
def test_event_gru_against_brute_force(readout, backwards):
    layer = EventGRU(7, readout=readout, return_sequences=True, go_backwards=backwards, seed=3)
    model, x, valid = model_of(layer)
    [macs] = count_macs(model, x, valid)
    assert macs.effective == pytest.approx(brute_force(layer, x, valid, backwards), abs=1e-9)
    assert macs.steps == valid.sum()
    assert macs.dense == 3 * 7 * (5 + 7)
    assert 0 < macs.activity < 1
    assert 0 < macs.effective < macs.nonzero_weights < macs.dense


def test_stateful_layers_are_counted_from_zero_states():
    layer = EventGRU(7, return_sequences=True, stateful=True, carry_cell=False)
    model = keras.Sequential([keras.Input((6, 5), batch_size=4), layer])
    x = np.random.default_rng(1).normal(size=(4, 6, 5)).astype("float32")
    [macs] = count_macs(model, x)
    events = keras.ops.convert_to_numpy(layer(x))
    assert macs.activity == pytest.approx(np.mean(events[:, :-1] != 0) * 5 / 6)


def test_padding_counts_only_without_valid():
    layer = EventGRU(7, seed=3)
    model, x, _ = model_of(layer)
    x[:, :3] = 0
    valid = np.broadcast_to(np.arange(6) >= 3, (4, 6))
    [whole], [real] = count_macs(model, x), count_macs(model, x, valid)
    assert whole.effective < real.effective
    assert whole.input_rate == pytest.approx(real.input_rate / 2)


@pytest.mark.parametrize(("kind", "gates"), [("GRU", 3), ("LSTM", 4), ("SimpleRNN", 1)])
def test_keras_layers_skip_zero_weights_only(kind, gates):
    layer = getattr(keras.layers, kind)(7)
    model, x, valid = model_of(layer)
    [macs] = count_macs(model, x, valid)
    nonzero = sum(np.count_nonzero(w) for w in layer.get_weights()[:2])
    assert macs.dense == gates * 7 * (5 + 7)
    assert macs.effective == macs.nonzero_weights == nonzero
    assert macs.sparsity == pytest.approx(1 - nonzero / macs.dense)
    assert (macs.input_rate, macs.activity) == (1, 1)


def test_both_directions_are_counted():
    both = keras.layers.Bidirectional(EventGRU(7, return_sequences=True, seed=3, name="events"), name="both")
    model, x, valid = model_of(both)
    forward, backward = count_macs(model, x, valid)
    assert (forward.name, backward.name) == ("both/forward_events", "both/backward_events")
    assert forward.effective == pytest.approx(brute_force(both.forward_layer, x, valid), abs=1e-9)
    assert backward.effective == pytest.approx(brute_force(both.backward_layer, x, valid, backwards=True), abs=1e-9)
    recorded = record_events(model, x)
    outputs = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_array_equal(recorded["both/forward_events"], outputs[..., :7] != 0)
    np.testing.assert_array_equal(recorded["both/backward_events"], outputs[..., 7:] != 0)


def test_gates_add_up():
    layer = keras.layers.LSTM(7)
    model, x, _ = model_of(layer)
    [macs] = count_macs(model, x)
    kernels = [np.split(w, 4, axis=1) for w in layer.get_weights()[:2]]
    assert macs.gates == tuple(sum(np.count_nonzero(kernel[gate]) for kernel in kernels) for gate in range(4))
    [macs] = count_macs(*model_of(EventGRU(7, seed=3))[:2])
    assert len(macs.gates) == 3 and sum(macs.gates) == pytest.approx(macs.effective)


def test_recorded_events_are_those_of_the_layers():
    first, delta = EventGRU(7, return_sequences=True, seed=3), DeltaGRU(4, 0.0, 0.02, return_sequences=True)
    model, x, _ = model_of(first, delta, keras.layers.GRU(3))
    recorded = record_events(model, x)
    assert list(recorded) == [first.name, delta.name]
    np.testing.assert_array_equal(recorded[first.name], keras.ops.convert_to_numpy(first(x)) != 0)
    states = keras.ops.convert_to_numpy(delta(first(x)))
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    np.testing.assert_array_equal(recorded[delta.name], [changes(sample, 0.02) for sample in before])
    assert 0 < recorded[delta.name].mean() < 1


class OtherCell(keras.layers.GRUCell):
    """Nobody knows how often its kernels are taken."""

    def call(self, inputs, states, training=False):
        return super().call(inputs, super().call(inputs, states)[1])


def test_what_can_be_counted_is_where_the_rest_may_be_left_out():
    other = keras.layers.RNN(OtherCell(3), return_sequences=True)
    model = keras.Sequential([keras.Input((6, 5)), other, EventGRU(7, seed=3, name="events")])
    [macs] = count_macs(model, np.zeros((2, 6, 5)), partial=True)
    assert (macs.name, macs.dense) == ("events", 3 * 7 * (3 + 7))


def test_second_layer_skips_events_that_did_not_happen():
    first, second = EventGRU(7, return_sequences=True, seed=3), EventGRU(4, seed=5)
    model, x, valid = model_of(first, second)
    _, macs = count_macs(model, x, valid)
    events = keras.ops.convert_to_numpy(first(x))
    assert macs.input_rate == pytest.approx((events[valid] != 0).mean())
    assert macs.effective == pytest.approx(brute_force(second, events, valid), abs=1e-9)


def changes(sequence, threshold):
    """Where a sequence (time, channels) that is held from zero on changes."""
    held, changed = np.zeros_like(sequence[0]), []
    for value in sequence:
        changed.append(abs(value - held) > threshold)
        held = np.where(changed[-1], value, held)
    return np.array(changed)


def nonzeros_fed(kernel, changed):
    return sum(np.count_nonzero(row) for step in changed for row, source in zip(kernel, step, strict=True) if source)


@pytest.mark.parametrize("backwards", [False, True])
def test_delta_gru_counts_what_changed(backwards):
    layer = DeltaGRU(7, 0.8, 0.2, return_sequences=True, go_backwards=backwards)
    model, x, _ = model_of(layer)
    [macs] = count_macs(model, x)
    h = keras.ops.convert_to_numpy(layer(x))
    kernel, recurrent, _ = layer.get_weights()
    total = 0
    for sample, states in zip(x[:, ::-1] if backwards else x, h, strict=True):
        total += nonzeros_fed(kernel, changes(sample, 0.8))
        total += nonzeros_fed(recurrent, changes(np.vstack([np.zeros(7), states[:-1]]), 0.2))
    assert macs.effective == pytest.approx(total / macs.steps, abs=1e-9)
    assert macs.dense == 3 * 7 * (5 + 7)
    assert 0 < macs.activity < 1
    assert 0 < macs.input_rate < 1


def test_a_candidate_that_reads_what_is_held_of_the_reset_state():
    layer = DeltaGRU(7, 0.8, 0.1, reset_after=False, reset_threshold=0.3, return_sequences=True)
    model, x, _ = model_of(layer)
    [macs] = count_macs(model, x)
    h = keras.ops.convert_to_numpy(layer(x))
    kernel, recurrent, _ = layer.get_weights()
    total = 0
    for sample, states in zip(x, h, strict=True):
        before = np.vstack([np.zeros((1, 7), "float32"), states[:-1]])
        held, resets, changed_x = np.zeros(7), [], changes(sample, 0.8)
        held_x = np.zeros_like(sample[0])
        for x_t, sent, state in zip(sample, changed_x, before, strict=True):
            held_x, held = np.where(sent, x_t, held_x), np.where(abs(state - held) > 0.1, state, held)
            resets.append(state / (1 + np.exp(-held_x @ kernel[:, 7:14] - held @ recurrent[:, 7:14])))
        total += nonzeros_fed(kernel, changed_x) + nonzeros_fed(recurrent[:, :14], changes(before, 0.1))
        total += nonzeros_fed(recurrent[:, 14:], changes(np.array(resets), 0.3))
    assert macs.effective == pytest.approx(total / macs.steps, abs=1e-9)
    assert macs.dense == 3 * 7 * (5 + 7)


@pytest.mark.parametrize("layer", [DeltaGRU(7, 0.8, 0.2), EventGRU(7)], ids=["DeltaGRU", "EventGRU"])
def test_masked_steps_change_nothing(layer):
    model = keras.Sequential([keras.Input((None, 5)), keras.layers.Masking(), layer])
    x = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")
    [whole] = count_macs(model, x)
    padded = np.concatenate([x[:, :3], np.zeros_like(x[:, :2]), x[:, 3:]], axis=1)
    [macs] = count_macs(model, padded, padded.any(axis=2))
    assert (macs.steps, macs.effective) == (whole.steps, pytest.approx(whole.effective))


@pytest.mark.parametrize("kind", [keras.layers.GRU, keras.layers.LSTM, EventGRU])
def test_hold_in_front_lets_a_layer_skip_inputs(kind):
    layer = kind(7, return_sequences=True)
    model, x, _ = model_of(DeltaHold(0.8), layer)
    [macs] = count_macs(model, x)
    kernel, recurrent = layer.get_weights()[:2]
    total = sum(nonzeros_fed(kernel, changes(sample, 0.8)) for sample in x)
    before = np.ones((4, 6, 7), bool)
    if kind is EventGRU:
        events = keras.ops.convert_to_numpy(layer(model.layers[0](x)))
        before = np.concatenate([np.zeros_like(before[:, :1]), events[:, :-1] != 0], axis=1)
    total += sum(nonzeros_fed(recurrent, sample) for sample in before)
    assert macs.effective == pytest.approx(total / macs.steps, abs=1e-9)
    assert 0 < macs.input_rate < 1


def test_rnn_over_the_cell_equals_the_layer():
    layer, wrapped = EventGRU(7, seed=3), keras.layers.RNN(EventGRUCell(7, seed=3))
    model, x, valid = model_of(layer)
    other, _, _ = model_of(wrapped)
    wrapped.set_weights(layer.get_weights())
    assert count_macs(other, x, valid)[0].effective == count_macs(model, x, valid)[0].effective


def test_what_cannot_be_counted_is_named():
    x = np.zeros((2, 6, 5), "float32")

    def sequential(layer):
        return keras.Sequential([keras.Input((6, 5)), layer])

    with pytest.raises(ValueError, match="no recurrent layer"):
        count_macs(sequential(keras.layers.Dense(3)), x)
    with pytest.raises(ValueError, match=r"'rnn' \(OtherCell\) is a cell of a class that does not say"):
        count_macs(sequential(keras.layers.RNN(OtherCell(3), name="rnn")), x)
    with pytest.raises(ValueError, match=r"'in/conv' \(ConvLSTMCell\) has no gates"):
        count_macs(
            sequential(
                keras.Sequential(
                    [keras.layers.Reshape((6, 5, 1)), keras.layers.ConvLSTM1D(2, 3, name="conv")], name="in"
                )
            ),
            x,
        )
    with pytest.raises(ValueError, match=r"valid.*\(2, 6\).*\(2, 5\)"):
        count_macs(sequential(EventGRU(3)), x, np.ones((2, 5), bool))
    with pytest.raises(ValueError, match="step to count"):
        count_macs(sequential(keras.layers.GRU(3)), x, np.zeros((2, 6), bool))


def test_onlstm_and_highway_cost_all_weights_that_are_not_zero():
    """The master kernels of ONLSTM count too."""
    ordered = ONLSTM(6, chunk_size=2, return_sequences=True)
    model = keras.Sequential([keras.Input((5, 3)), ordered, RecurrentHighway(4, depth=3)])
    ordered.cell.master_kernel.assign(np.zeros((3, 6)))
    costs, highway = count_macs(model, np.ones((2, 5, 3), "float32"))
    assert (costs.dense, costs.effective) == (9 * 24 + 9 * 6, 9 * 24 + 6 * 6)
    assert highway.dense == highway.effective == 6 * 8 + 12 * 8


def test_dense_layers_skip_inputs_and_weights_that_are_zero():
    events = EventGRU(8, return_sequences=True, name="events")
    model = keras.Sequential([keras.Input((6, 5)), events, keras.layers.Dense(4, name="at_each_step")])
    kernel = np.where(np.indices((8, 4)).sum(axis=0) % 3, 1.0, 0.0)
    model.layers[1].set_weights([kernel, np.zeros(4)])
    x = np.random.default_rng(0).normal(size=(3, 6, 5)).astype("float32")
    valid = np.indices((3, 6))[1] > 1
    active = keras.ops.convert_to_numpy(events(x))[valid] != 0
    assert 0 < active.mean() < 1
    expected = np.mean([sum(np.count_nonzero(kernel[j]) for j in np.flatnonzero(step)) for step in active])
    assert count_dense_macs(model, x, valid) == {"at_each_step": pytest.approx(expected)}
