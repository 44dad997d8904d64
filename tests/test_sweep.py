"""The sweep over small nets, on results that are made up, and one net that is trained for a moment."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr

optuna = pytest.importorskip("optuna")
needs_fsdd = pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with fsdd.npz")


@pytest.fixture(scope="module")
def sweep():
    path = Path(__file__).parents[1] / "examples" / "sweep.py"
    spec = importlib.util.spec_from_file_location("sweep", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(nll, macs):
    return {"nll": nll, "macs": macs, "accuracy": 0.99, "inputs": 0.3, "activity": 0.2, "bytes": 100}


def add(study, sweep, net, nll, macs):
    parameters = sweep.suggested(net)
    trial = optuna.trial.create_trial(
        params=parameters,
        distributions={name: optuna.distributions.CategoricalDistribution([v]) for name, v in parameters.items()},
        values=[nll, macs, 100.0],
        user_attrs={"net": sweep.asdict(net)},
    )
    study.add_trial(trial)


def test_what_is_known_is_in_the_search_space(sweep):
    for net in sweep.KNOWN:
        assert sweep.suggest(optuna.trial.FixedTrial(sweep.suggested(net))) == net


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_cheapest_that_is_good_enough_is_chosen_for_each_kind_and_hop(sweep, tmp_path):
    study = sweep.open_study(tmp_path)
    delta = sweep.Net("DeltaGRU", 32, 20, 0.7, input_threshold=0.5, hidden_threshold=0.2)
    good, dear, bad, dense = delta, replace(delta, units=64), replace(delta, units=16), sweep.Net("GRU", 12)
    other_hop = replace(delta, hop=80)
    for net, nll, macs in (
        (good, 0.04, 400),
        (dear, 0.03, 800),
        (bad, 0.06, 200),
        (dense, 0.01, 9),
        (other_hop, 0.04, 99),
    ):
        add(study, sweep, net, nll, macs)
    assert sweep.chosen(sweep.open_study(tmp_path), goals=[0.045]) == [good, other_hop]
    assert sweep.chosen(study, goals=[0.01]) == []


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_tables_name_the_smallest_competitor(sweep, tmp_path, capsys):
    delta = sweep.Net("DeltaGRU", 32, 20, 0.7, input_threshold=0.5, hidden_threshold=0.2)
    for net, losses, macs in (
        (delta, (0.04, 0.05), 400),
        (sweep.Net("GRU", 12), (0.07, 0.08), 1600),
        (sweep.Net("GRU", 16), (0.05, 0.045), 2000),
        (sweep.Net("GRU", 24), (0.02, 0.02), 4000),
        (sweep.Net("GRU", 24, 80), (0.09, 0.08), 4000),
        (sweep.Net("GRU", 32, 20, 0.7), (0.045, 0.045), 1800),
    ):
        for seed, nll in enumerate(losses):
            row = {"net": str(net), "seed": seed, "of": sweep.asdict(net), **run(nll, macs)}
            sweep.write(tmp_path / "runs.jsonl", row)
        if net.units != 24:
            cost = {"net": str(net), "bytes": 1000 + macs, "instructions": 10 * macs, "int8 nll": 0.05}
            sweep.write(tmp_path / "costs.jsonl", cost)
    add(sweep.open_study(tmp_path), sweep, delta, 0.04, 400)
    sweep.table(SimpleNamespace(), tmp_path)
    printed = capsys.readouterr().out
    assert "| DeltaGRU 32, 20 ms, 70% in 1x4, holds 0.5 and 0.2 | 2 | 99.0 ± 0.0 | 0.045 ± 0.007 |" in printed
    last = printed.splitlines()[-2]
    assert last.startswith("| DeltaGRU 32") and "| 16: 5.0 / 5.0 / 2.1 | none | none | 32: 4.5 / 4.5 / 2.0 |" in last
    assert (tmp_path / "sweep.png").read_bytes()[1:4] == b"PNG"


def test_own_arrays_give_a_front_and_code_to_paste(sweep, tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=60)
    x = rng.normal(size=(60, 8, 3)) + 2 * y[:, None, None]
    for name, values in (("x", x), ("y", y)):
        np.save(tmp_path / f"{name}.npy", values)
    given = SimpleNamespace(x=tmp_path / "x.npy", y=tmp_path / "y.npy", trials=2, epochs=2, only="^LightGRU 32, 80 ms")
    sweep.arrays(given, tmp_path)
    printed = capsys.readouterr().out
    assert "| LightGRU 32, 80 ms, rank" in printed
    code = printed[printed.index("x = x[:, ::-1]") :]
    scope = {"keras": keras, "ksr": ksr, "x": x, "classes": 2}
    exec(code, scope)
    assert scope["x"].shape == (60, 2, 3) and np.array_equal(scope["x"][:, -1], x[:, -1])
    assert scope["model"].layers[0].rank in (8, 12) and scope["model"].output_shape == (None, 2)
    sweep.GIVEN.clear()
    sweep.load.cache_clear()
    np.save(tmp_path / "y.npy", y[:5])
    with pytest.raises(ValueError, match="--y a class, an integer, for each"):
        sweep.given_arrays(given.x, given.y)


def test_the_front_is_what_nothing_beats(sweep):
    a, b, c, d = (sweep.Net("GRU", units) for units in (8, 12, 16, 24))
    tried = [(a, 0.3, 10), (b, 0.4, 20), (c, 0.2, 30), (d, 0.19, 90)]
    assert [net for net, *_ in sweep.pareto_front(tried)] == [a, c, d]
    assert sweep.recommended(sweep.pareto_front(tried), tried) == c
    for net in sweep.SMALL:
        compile(sweep.code_of(net), "code", "exec")


@needs_fsdd
def test_continuous_audio_has_words_and_pauses(sweep):
    silent, noisy = sweep.minute_of_audio(None, 20), sweep.minute_of_audio(-40, 20)
    assert silent.shape == noisy.shape == (20 * 8000,)
    assert 0.2 < np.mean(silent == 0) < 0.9
    assert np.std(noisy - silent) == pytest.approx(0.01, rel=0.05)


@needs_fsdd
def test_a_pruned_net_is_trained(sweep):
    net = sweep.Net("DeltaGRU", 12, 80, 0.5, input_threshold=0.5, hidden_threshold=0.2)
    _, seen = sweep.fit(net, 0, "validation", epochs=1)
    assert 0.1 < seen["accuracy"] <= 1 and 0 < seen["nll"] < np.log(10)
    assert seen["macs"] < 0.5 * 3 * 12 * (32 + 12)
