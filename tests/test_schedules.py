import itertools
import math

import keras
import numpy as np
import pytest

import keras_sparse_rnn
from keras_sparse_rnn.callbacks import MagnitudePruning
from keras_sparse_rnn.schedules import ConstantSparsity, CosineDecay, PolynomialDecay, RampThreshold
from keras_sparse_rnn.sparsity import measure

CONFIGS = [
    ("ConstantSparsity", {"target_sparsity": 0.5, "begin_step": 0}),
    ("ConstantSparsity", {"target_sparsity": 0.9, "begin_step": 3, "end_step": 20, "frequency": 4}),
    ("PolynomialDecay", {"initial_sparsity": 0.0, "final_sparsity": 0.9, "begin_step": 0, "end_step": 250}),
    (
        "PolynomialDecay",
        {"initial_sparsity": 0.3, "final_sparsity": 0.8, "begin_step": 7, "end_step": 40, "power": 1, "frequency": 5},
    ),
    (
        "PolynomialDecay",
        {"initial_sparsity": 0.8, "final_sparsity": 0.1, "begin_step": 2, "end_step": 30, "power": 2.5, "frequency": 1},
    ),
]
RAMPS = [
    ("RampThreshold", {"begin_step": 10, "ramp_step": 30, "end_step": 50, "q": 0.1, "frequency": 5}),
    ("RampThreshold", {"begin_step": 0, "ramp_step": 0, "end_step": 40, "theta": 0.2, "phi": 0.3, "frequency": 7}),
]
COSINES = [
    ("CosineDecay", {"initial_fraction": 0.5, "final_fraction": 0.01, "begin_step": 0, "end_step": 50, "frequency": 4}),
    ("CosineDecay", {"initial_fraction": 0.3, "final_fraction": 0.0, "begin_step": 7, "end_step": 40}),
]


def schedules_of_tfmot():
    from tensorflow_model_optimization.sparsity import keras as tfmot

    schedules = [getattr(tfmot, name)(**config) for name, config in CONFIGS]
    return [[(bool(due), float(value)) for due, value in map(schedule, range(300))] for schedule in schedules]


def test_equal_to_tfmot_at_every_step(beside_tfmot):
    theirs = beside_tfmot(schedules_of_tfmot)
    for (name, config), expected in zip(CONFIGS, theirs, strict=True):
        schedule = getattr(keras_sparse_rnn.schedules, name)(**config)
        due, value = zip(*map(schedule, range(300)), strict=True)
        assert list(due) == [e[0] for e in expected]
        np.testing.assert_allclose(value, [e[1] for e in expected], atol=1e-6)


def sparsity_by_a_schedule_of_tfmot():
    from tensorflow_model_optimization.sparsity import keras as tfmot

    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(8)])
    model.compile("adam", "mse")
    pruning = MagnitudePruning(tfmot.PolynomialDecay(0.0, 0.75, begin_step=0, end_step=6, frequency=4))
    model.fit(np.ones((16, 4, 3)), np.ones((16, 8)), batch_size=2, verbose=0, callbacks=[pruning])
    return measure(model)


def test_tfmot_schedule_in_place_of_ours(beside_tfmot):
    assert beside_tfmot(sparsity_by_a_schedule_of_tfmot) == 0.75


@pytest.mark.parametrize(("name", "config"), CONFIGS + RAMPS + COSINES)
def test_survives_serialization(name, config):
    schedule = getattr(keras_sparse_rnn.schedules, name)(**config)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(copy) is type(schedule)
    assert [copy(n) for n in range(60)] == [schedule(n) for n in range(60)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantSparsity(1.0, 0), r"target_sparsity=1.0: must be in \[0, 1\)"),
        (lambda: ConstantSparsity(-0.1, 0), "target_sparsity=-0.1"),
        (lambda: ConstantSparsity(float("nan"), 0), "target_sparsity=nan"),
        (lambda: ConstantSparsity(0.5, -1), "begin_step=-1: must be an integer >= 0"),
        (lambda: ConstantSparsity(0.5, 0.5), "begin_step=0.5"),
        (lambda: ConstantSparsity(0.5, 10, end_step=9), "ends before it begins: begin_step=10, end_step=9"),
        (lambda: ConstantSparsity(0.5), "begin_step=None.*begin=None.*: give begin_step and end_step, .* or begin and"),
        (lambda: ConstantSparsity(0.5, 3, begin=0.5), "begin_step=3.*begin=0.5"),
        (lambda: ConstantSparsity(0.5, 3, end=0.5), "begin_step=3.*end=0.5"),
        (lambda: ConstantSparsity(0.5, end_step=3, begin=0.5), "end_step=3, begin=0.5"),
        (lambda: ConstantSparsity(0.5, begin=1.5), r"begin=1.5: must be a share of the fit, in \[0, 1\]"),
        (lambda: ConstantSparsity(0.5, begin=-1, unit="epochs"), "begin=-1: must be a number of epochs, >= 0"),
        (lambda: ConstantSparsity(0.5, begin=0.5, unit="steps"), r"unit='steps': must be one of \('fit', 'epochs'\)"),
        (lambda: ConstantSparsity(0.5, begin=0.5, end=0.25), "ends before it begins: begin=0.5, end=0.25"),
        (lambda: PolynomialDecay(0.0, 0.9, begin=0.5), "end=None: a PolynomialDecay must end"),
        (lambda: RampThreshold(begin=0.5, ramp=0.5, end=0.5, q=0.1), "end=0.5: must be > begin=0.5"),
        (lambda: RampThreshold(begin=0.2, ramp=0.1, end=0.5, q=0.1), r"ramp=0.1: must be in \[begin, end\] = \[0.2, 0"),
        (
            lambda: PolynomialDecay(0.0, 0.9, begin=0.0, end=0.5)(7),
            "begin=0.0 in unit='fit': outside of fit, take sched",
        ),
        (lambda: ConstantSparsity(0.5, 0, frequency=0), "frequency=0: must be an integer >= 1"),
        (lambda: PolynomialDecay(0.0, 0.9, 0, -1), "must end"),
        (lambda: PolynomialDecay(0.0, 1.5, 0, 10), "final_sparsity=1.5"),
        (lambda: PolynomialDecay(2, 0.5, 0, 10), "initial_sparsity=2"),
        (lambda: PolynomialDecay(0.0, 0.5, 0, 10, power=0), "power=0: must be a number > 0"),
        (lambda: CosineDecay(1.0, 0.0, 0, 10), r"initial_fraction=1.0: must be in \[0, 1\)"),
        (lambda: CosineDecay(0.5, -0.1, 0, 10), "final_fraction=-0.1"),
        (lambda: CosineDecay(0.5, 0.0, 0, -1), "end_step=-1: a CosineDecay must end"),
        (lambda: CosineDecay(0.5, 0.0, 10, 9), "ends before it begins"),
        (lambda: RampThreshold(10, 12, 9, q=0.1), "ends before it begins: begin_step=10, end_step=9"),
        (lambda: RampThreshold(10, 10, 10, q=0.1), "end_step=10: must be > begin_step=10"),
        (lambda: RampThreshold(10, 12, -1, q=0.1), "end_step=-1: a RampThreshold must end"),
        (lambda: RampThreshold(10, 9, 20, q=0.1), r"ramp_step=9: must be in .* = \[10, 20\]"),
        (lambda: RampThreshold(10, 21, 20, q=0.1), "ramp_step=21"),
        (lambda: RampThreshold(0, 5, 10), "q=None, theta=None: exactly one"),
        (lambda: RampThreshold(0, 5, 10, q=0.1, theta=0.1), "exactly one"),
        (lambda: RampThreshold(0, 5, 10, q=0.0), "q=0.0: must be a number > 0"),
        (lambda: RampThreshold(0, 5, 10, theta=float("inf")), "theta=inf"),
        (lambda: RampThreshold(0, 5, 10, q=0.1, phi=-1), "phi=-1: must be a number >= 0"),
    ],
)
def test_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        (ConstantSparsity(0.5, begin=0.25), ConstantSparsity(0.5, 50, -1, frequency=7)),
        (PolynomialDecay(0.1, 0.9, begin=0.25, end=0.75), PolynomialDecay(0.1, 0.9, 50, 150, frequency=5)),
        (PolynomialDecay(0.1, 0.9, begin=1.5, end=8, unit="epochs"), PolynomialDecay(0.1, 0.9, 30, 160, frequency=6)),
        (CosineDecay(0.5, 0.1, begin=0, end=1, frequency=7), CosineDecay(0.5, 0.1, 0, 200, frequency=7)),
        (RampThreshold(begin=0.1, ramp=0.3, end=0.9, q=0.2), RampThreshold(20, 60, 180, q=0.2, frequency=8)),
    ],
)
def test_shares_and_epochs_become_steps_when_their_number_is_known(given, resolved):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(given))
    for schedule in (given, copy):
        steps = schedule.resolve(200, epochs=10)
        assert [steps(n) for n in range(210)] == [resolved(n) for n in range(210)]
    assert resolved.resolve(17) is resolved


@pytest.mark.parametrize(
    ("schedule", "at", "before", "final"),
    [
        (PolynomialDecay(0.25, 0.75, 5, 5), 5, 0.25, 0.75),
        (PolynomialDecay(0.25, 0.75, begin=0.5, end=0.5), 8, 0.25, 0.75),
        (PolynomialDecay(0.25, 0.75, begin=1, end=1, unit="epochs"), 8, 0.25, 0.75),
        (PolynomialDecay(0.25, 0.75, begin=0.98, end=1.0), 16, 0.25, 0.75),
        (PolynomialDecay(0.25, 0.75, 0, 0), 0, None, 0.75),
        (CosineDecay(0.5, 0.25, 5, 5), 5, 0.5, 0.25),
        (CosineDecay(0.5, 0.25, begin=0.98, end=1.0), 16, 0.5, 0.25),
        (ConstantSparsity(0.5, begin=0.98, end=1.0), 16, 0.5, 0.5),
    ],
)
def test_a_schedule_that_ends_where_it_begins_acts_once_with_its_final_value(schedule, at, before, final):
    steps = schedule.resolve(16, epochs=2)
    assert [steps(n) for n in range(18)] == [(False, before)] * at + [(True, final)] + [(False, final)] * (17 - at)


@pytest.mark.parametrize(
    "times", [{"begin_step": 5, "end_step": 5}, {"begin": 0.5, "end": 0.5}, {"begin": 0.98, "end": 1.0}], ids=str
)
def test_fit_prunes_at_once_where_the_schedule_has_no_length(times):
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.GRU(8), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(16, 3, 4))
    pruning = MagnitudePruning(PolynomialDecay(0.0, 0.75, **times))
    model.fit(x, x[:, 0, :1], batch_size=2, epochs=2, verbose=0, callbacks=[pruning])
    assert pruning.masks.sparsity == 0.75


def test_a_ramp_that_has_no_length_in_a_short_fit_says_so():
    schedule = RampThreshold(begin=0.98, ramp=0.99, end=1.0, q=0.1)
    with pytest.raises(ValueError, match="end=1.0 .* fit a training of 16 steps: end_step=16: must be > beg"):
        schedule.resolve(16)


def test_the_next_step_that_is_due_is_the_first_at_which_it_acts():
    for begin, end, frequency in itertools.product((0, 1, 7), (-1, 7, 12, 15), (1, 3, 5, 100)):
        schedule = ConstantSparsity(0.5, begin, end, frequency)
        acts = [step for step in range(120) if schedule(step)[0] or step == end]
        for step in range(-1, 20):
            assert schedule.next_due(step) == next((at for at in acts if at > step), math.inf)


def test_a_schedule_that_asks_at_each_step_is_asked_at_each_step():
    class Mondays(ConstantSparsity):
        def __call__(self, step):
            return step % 7 == 0, 0.5

    assert Mondays(0.5, 0).next_due(3) == 4


def test_ramp_is_the_formula_of_the_paper():
    """arXiv:1704.05119, Table 1 and Algorithm 1, with the paper's own numbers written out."""
    start, ramp, end, freq, q = 100, 2500, 5000, 100, 0.08
    schedule = RampThreshold(start, ramp, end, q=q)
    theta = (2 * q * freq) / (2 * (ramp - start) + 3 * (end - ramp))
    phi = 1.5 * theta
    for step in range(start, end + 1):
        if step < ramp:
            epsilon = theta * (step - start + 1) / freq
        else:
            epsilon = (theta * (ramp - start + 1) + phi * (step - ramp + 1)) / freq
        assert schedule(step) == ((step - start) % freq == 0, pytest.approx(epsilon, rel=1e-12))
    assert schedule(end)[1] == pytest.approx(q, rel=1e-3)
    assert schedule(start - 1) == (False, 0.0)
    assert schedule(end + 700) == (False, schedule(end)[1])
    steeper = RampThreshold(start, ramp, end, theta=theta, phi=2 * theta)
    assert steeper(ramp - 1)[1] == schedule(ramp - 1)[1]
    assert steeper(end)[1] > schedule(end)[1]


def test_ramp_ends_at_the_quantile_of_a_dense_model_by_layer():
    model = keras.Sequential([keras.Input((5, 8)), keras.layers.GRU(32), keras.layers.Dense(64, name="out")])
    (kernel, recurrent, _), (dense, _) = (layer.get_weights() for layer in model.layers)
    both = np.abs(np.concatenate([kernel.ravel(), recurrent.ravel()]))
    for layers, weights in [(None, both), ("out", np.abs(dense))]:
        schedule = RampThreshold.from_model(model, 0, 20_000, 40_000, quantile=0.75, layers=layers)
        assert np.mean(weights < schedule.value(40_000)) == pytest.approx(0.75, abs=2e-3)
    with pytest.raises(ValueError, match=r"quantile=1: must be in \(0, 1\)"):
        RampThreshold.from_model(model, 0, 5, 10, quantile=1)
    with pytest.raises(ValueError, match="no prunable kernel"):
        RampThreshold.from_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), 0, 5, 10)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    with pytest.raises(ValueError, match="must be dense"):
        RampThreshold.from_model(model, 0, 5, 10)


def test_cosine_is_that_of_keras_and_of_torch():
    """Selfish-RNN's own code takes torch's CosineAnnealingLR, with eta_min 0.005."""
    schedule = CosineDecay(0.8, 0.005, begin_step=10, end_step=60, frequency=5)
    keras_cosine = keras.optimizers.schedules.CosineDecay(0.8, decay_steps=50, alpha=0.005 / 0.8)
    for step in range(90):
        due, value = schedule(step)
        assert due == (10 <= step <= 60 and step % 5 == 0)
        assert value == pytest.approx(float(keras_cosine(max(0, step - 10))), abs=1e-6)
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.005)
    for step in range(10, 61):
        assert schedule.value(step) == pytest.approx(annealing.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        annealing.step()
