"""The language models of examples/: text and windows, every preset, and a run that is killed."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import penn_treebank  # noqa: E402
from language_model import corpus, network, training  # noqa: E402
from language_model.presets import PRESETS  # noqa: E402
from language_model.steps import STEPS  # noqa: E402


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A folder with a made-up text: words that mostly follow their number."""
    folder, rng = tmp_path_factory.mktemp("text"), np.random.default_rng(0)
    for part, lines in (("train", 300), ("valid", 60), ("test", 60)):
        firsts = rng.integers(0, 50, lines)
        text = [" ".join(f"w{(first + i) % 50}" for i in range(rng.integers(4, 12))) for first in firsts]
        (folder / f"ptb.{part}.txt").write_text("\n".join(text) + "\n")
    return folder


def command(text, out, *arguments):
    backend = keras.backend.backend()
    example = [sys.executable, EXAMPLES / "penn_treebank.py", "--quick", "--backend", backend, "--data", text]
    return [*example, "--out", out, *arguments]


def result(folder):
    figures = json.loads((folder / "result.json").read_text())
    del figures["seconds"]
    return figures


@pytest.mark.slow
@pytest.mark.usefixtures("optimized_graphs")
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(text, tmp_path, monkeypatch, capsys):
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def run_here(out, *arguments):
        monkeypatch.setattr(sys, "argv", [*map(str, command(text, out, "--preset", "selfish-lstm", *arguments)[1:])])
        penn_treebank.main()
        return [
            line.split()[1].strip(":") for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")
        ]

    shown = run_here(whole)
    with subprocess.Popen(command(text, killed, "--preset", "selfish-lstm"), stdout=subprocess.PIPE, text=True) as run:
        while not run.stdout.readline().startswith("epoch 1"):
            assert run.poll() is None
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL and not (killed / "result.json").exists()
    assert shown == ["1/2", "2/2"] and run_here(killed, "--resume") == ["2/2"]
    assert result(killed) == result(whole)
    assert abs(result(whole)["sparsity"] - 0.67) < 0.01


@pytest.mark.slow
def test_pruning_starts_from_a_dense_net(text, tmp_path):
    loaded = corpus.load(text)
    preset = dataclasses.replace(PRESETS["small"], units=(20, 20), embedding=20, epochs=2, batch=4)
    training.train(preset, loaded, tmp_path)
    dense = training.evaluate(preset, loaded, tmp_path / "best.weights.h5")
    assert dense["sparsity"] < 0.01 and dense["valid"] < 51  # chance would be 51 words
    pruned = dataclasses.replace(preset, sparsity=0.8, method="magnitude", rate=1e-3)
    with pytest.raises(SystemExit, match="holds a run: go on with it by --resume"):
        training.train(pruned, loaded, tmp_path)
    (tmp_path / "pruned").mkdir()
    training.train(pruned, loaded, tmp_path / "pruned", start=tmp_path / "best.weights.h5")
    with pytest.raises(SystemExit, match="--resume: .* is of seed=0, not 1"):
        training.train(pruned, loaded, tmp_path / "pruned", seed=1, resume=True)
    sparse = training.evaluate(pruned, loaded, tmp_path / "pruned" / "best.weights.h5")
    assert abs(sparse["sparsity"] - 0.8) < 0.01
    assert sparse["effective"] < 0.25 * sparse["dense"]
    assert sparse["valid"] < 51


@pytest.mark.slow_but(name=["egru-1350"])
@pytest.mark.parametrize("name", ["egru-1350", "selfish-rhn", "iss-lstm"])
def test_a_preset_trains(name):
    """Its first steps lower the loss of a text that repeats itself."""
    keras.utils.set_random_seed(0)
    preset = dataclasses.replace(PRESETS[name], units=(20,) * len(PRESETS[name].units), embedding=20, batch=2)
    if preset.optimizer in ("sgd", "snt-asgd"):
        preset = dataclasses.replace(preset, rate=2.0)
    model = network.build(preset, 12, preset.batch)
    training.sparsifiers(preset, model, 10)
    model.compile(training.optimizer(preset, model))
    model.optimizer.build(model.trainable_variables)
    words = np.tile(np.arange(12, dtype="int32"), (2, 9))
    steps = STEPS[keras.backend.backend()](model, words, model.optimizer)
    lengths = np.full(10, 10, "int32")
    starts, rates = np.arange(10, dtype="int32") * 10, np.full(10, preset.rate, "float32")

    def loss():
        steps.reset()
        return sum(float(steps.evaluate(starts[run], lengths[run])) for run in steps.runs(lengths)) / 200

    before = loss()
    for _ in range(5):
        steps.reset()
        for run in steps.runs(lengths):
            steps.train(starts[run], lengths[run], rates[run])
    assert loss() < before


def test_layers_start_anew_and_a_run_starts_as_its_seed_says():
    preset = dataclasses.replace(PRESETS["egru-2000"], units=(20, 20), embedding=20)
    nets = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        nets.append(network.build(preset, 30))
    first, same, other = (net.get_weights() for net in nets)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])
    below, above = (layer.cell for layer in nets[0].layers if hasattr(layer, "cell"))
    for one, two in zip(below.weights, above.weights, strict=True):
        assert one.name == "bias" or not np.array_equal(*map(keras.ops.convert_to_numpy, (one, two)))


def test_the_example_offers_every_preset():
    assert {*penn_treebank.PRESET_NAMES} == {*PRESETS}


@pytest.mark.parametrize("most_rare", [None, 14, 20])
def test_two_levels_are_one_softmax(most_rare):
    rng = np.random.default_rng(0)
    embedding = keras.layers.Embedding(50, 8)
    embedding.build((None,))
    decoder = network.TiedDecoder(embedding, frequent=10)
    decoder.build((None, None, 8))
    decoder.start_at(np.arange(50, 0, -1))
    decoder.rest.assign(rng.normal(size=(8, 1)))
    hidden, targets = rng.normal(size=(4, 7, 8)).astype("float32"), rng.integers(0, 50, (4, 7)).astype("int32")
    targets[:2] %= 10  # at most 14 are not among the frequent ones
    logits = keras.ops.convert_to_numpy(decoder(hidden))
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1, rtol=1e-5)
    losses = keras.ops.convert_to_numpy(decoder.losses_of(hidden, targets, most_rare))
    np.testing.assert_allclose(losses, -np.take_along_axis(logits, targets[..., None], -1)[..., 0], rtol=1e-5)


def test_a_frequency_is_what_two_levels_start_at():
    counts = np.arange(50, 0, -1)
    embedding = keras.layers.Embedding(50, 8)
    embedding.build((None,))
    decoder = network.TiedDecoder(embedding, frequent=10)
    decoder.build((None, None, 8))
    decoder.start_at(counts)
    logits = keras.ops.convert_to_numpy(decoder(np.zeros((1, 1, 8), "float32")))[0, 0]
    np.testing.assert_allclose(np.exp(logits), counts / counts.sum(), rtol=1e-5)


def test_rare_words_are_unknown_in_a_smaller_vocabulary(text, tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"ptb.{part}.txt").write_text((text / f"ptb.{part}.txt").read_text() + "<unk> " * 200)
    whole, cut = corpus.load(tmp_path), corpus.load(tmp_path, vocabulary=20, train_words=500)
    assert cut.words == whole.words[:20] and len(cut.train) == 500
    expected = [word if word in cut.words else "<unk>" for word in (whole.words[i] for i in whole.test)]
    assert [cut.words[i] for i in cut.test] == expected


def test_words_are_numbered_by_frequency(text):
    loaded = corpus.load(text)
    counts = np.bincount(loaded.train, minlength=len(loaded.words))
    assert (np.diff(counts) <= 0).all()
    lines = (text / "ptb.train.txt").read_text().splitlines()
    assert len(loaded.train) == sum(len(line.split()) + 1 for line in lines)
    assert [loaded.words[i] for i in loaded.train[: len(lines[0].split()) + 1]] == [*lines[0].split(), "<eos>"]


def test_windows_cover_a_text_once():
    starts, lengths = corpus.windows(1001, 70, True, np.random.default_rng(0))
    assert starts[0] == 0 and (starts[1:] == starts[:-1] + lengths[:-1]).all() and starts[-1] + lengths[-1] == 1000
    assert len({*lengths}) > 5
    starts, lengths = corpus.windows(1001, 70, False, np.random.default_rng(0))
    assert {*lengths} == {70} and starts[-1] == 13 * 70


def test_data_that_is_not_there_is_asked_for(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="must be a folder with ptb.train.txt"):
        corpus.load(tmp_path)
    monkeypatch.setattr(corpus, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(corpus, "ADDRESS", tmp_path.as_uri() + "/")
    with pytest.raises(SystemExit, match="--data DIR"):
        corpus.load()
    (tmp_path / "ptb.train.txt").write_text("something else")
    with pytest.raises(SystemExit, match="SHA-256"):
        corpus.load()
    assert not (tmp_path / "cache").exists()
