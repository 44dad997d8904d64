"""The wake word's streams, targets, and how misses are counted."""

import csv
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
from test_examples import converts, printed_by

from keras_sparse_rnn.experiments.data import FSDD_RATE, Recordings

EXAMPLE = Path(__file__).parents[1] / "examples" / "wake_word.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


def test_a_stream_holds_words_of_its_speakers_alone(example):
    """Each recording is a square wave whose period says whose it is and which digit; their levels differ by 40 dB."""
    who = [(speaker, digit) for speaker in range(3) for digit in range(10)]
    speaker, digit = np.array(who).T
    audio = [10.0**-s * np.resize(np.repeat([1, -1], 10 * s + d + 1), 400) for s, d in who]
    recordings = Recordings(audio, digit, speaker, np.zeros(30, int))
    make, rng = example["make_stream"], np.random.default_rng(0)
    stream = make(recordings, [1], 30, (0.1, 0.3), None, rng, 0.5)
    period, starts = {}, []
    for begin, end in stream.words:
        word = stream.audio[round(begin * FSDD_RATE) : round(end * FSDD_RATE)]
        assert len(word) == 400 and -32 <= 20 * np.log10(word.std()) <= -20  # -26 dBFS, within 6 dB
        period[np.flatnonzero(np.diff(word))[0] + 1] = starts.append(begin)
    assert len(starts) > 20 and set(period) == {10 + example["WAKE"] + 1}
    edges = np.flatnonzero((stream.audio[1:] != 0) & (stream.audio[:-1] == 0))
    others = {np.flatnonzero(np.diff(stream.audio[i + 1 :]))[0] + 1 for i in edges}
    assert others == {10 + d + 1 for d in range(10)} and 0.3 < np.mean(stream.audio == 0) < 0.9
    noisy = make(recordings, [1], 30, (0.1, 0.3), -40, np.random.default_rng(0), 0.5)
    assert np.std(noisy.audio - stream.audio) == pytest.approx(0.01, rel=0.05)


def test_words_of_training_are_played_at_other_speeds(example):
    tone = np.sin(2 * np.pi * 500 * np.arange(4000) / FSDD_RATE)
    rng, pitches = np.random.default_rng(0), []
    for _ in range(50):
        word = example["another_voice"](tone, rng)
        pitch = FSDD_RATE * np.argmax(np.abs(np.fft.rfft(word, 65536))) / 65536
        assert len(word) == pytest.approx(4000 * 500 / pitch, rel=0.01)
        pitches.append(pitch / 500)
    speeds = np.exp([-example["SPEED"], example["SPEED"]])
    assert speeds[0] * 0.99 < min(pitches) < 0.92 and 1.08 < max(pitches) < speeds[1] * 1.01


def test_targets_lie_at_the_end_of_a_word(example):
    target, weight = example["targets"](np.array([[1.0, 1.5]]), 100, 0.02)
    times = 0.02 * (1 + np.arange(100))
    due = (times > 1.44) & (times < 1.7401)
    np.testing.assert_array_equal(target, due)
    np.testing.assert_array_equal(weight == 0, (times > 1.0001) & (times < 2.0001) & ~due)


def test_misses_at_a_rate_of_false_accepts(example):
    """Three wake words in two hours of frames of a second, heard at .9, .6 and never; noise at .7, twice, and at .5."""
    words = np.array([[100.0, 101.0], [2000.0, 2001.0], [5000.0, 5001.0]])
    scores = np.zeros(7200)
    for second, value in ((100, 0.9), (2000, 0.6), (3000, 0.7), (4000, 0.7), (6000, 0.5)):
        scores[second] = value
    found = example["detections"](example["smoothed"](scores, 1.0), 1.0, 0.55)
    np.testing.assert_array_equal(found, [101, 2001, 3001, 4001])
    assert example["count"](found, words) == (1, 2)
    # Two false accepts are allowed at 1 per hour: .9 and .6 are heard; one at .5 per hour: .9 alone.
    assert example["misses"](scores, words, 1.0) == pytest.approx([1 / 3, 2 / 3])


def test_scores_are_means_over_100_ms(example):
    scores = np.array([2.0, 2, 2, 2, 2, 7, 2, 2, 2, 2, 2, 2])
    expected = [2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 2, 2]
    np.testing.assert_allclose(example["smoothed"](scores, 0.02), expected)
    np.testing.assert_allclose(example["smoothed"](scores, 0.08), scores)


def test_a_score_that_stays_is_one_detection(example):
    """As behind a gate, which holds the last score for as long as nothing moves."""
    scores = np.zeros(400)
    scores[100:300] = 1
    np.testing.assert_allclose(example["detections"](scores, 0.02, 0.3), [2.02])


def test_one_sound_is_one_detection(example):
    probabilities = np.zeros(400)
    probabilities[100:120] = 1
    assert len(example["detections"](probabilities, 0.02, 0.3)) == 1
    probabilities[200:220] = 1
    assert len(example["detections"](probabilities, 0.02, 0.3)) == 2


def test_features_over_a_noise_floor_rest_in_noise(example):
    rng = np.random.default_rng(0)
    noise = 1e-3 * rng.normal(size=4 * FSDD_RATE)
    tone = 0.1 * np.sin(2 * np.pi * 500 * np.arange(FSDD_RATE // 2) / FSDD_RATE)
    audio = noise.copy()
    audio[2 * FSDD_RATE : 2 * FSDD_RATE + len(tone)] += tone
    moving = {}
    for kind in example["KINDS"]:
        x = example["features"](audio, 20, kind)
        moving[kind] = np.abs(np.diff(x[50:95], axis=0)).mean() / np.ptp(x)
        assert x[102:120].std() > 0 and np.isfinite(x).all()
    assert max(moving["floor"], moving["quiet-pcen"]) < 0.2 * min(moving["log"], moving["pcen"])


def test_pcen_is_its_definition(example):
    """Wang et al., 2017, equations 1 and 2, written as one sum over the past."""
    energy = np.random.default_rng(0).uniform(0.1, 2, (30, 4))
    keep = np.exp(-0.04 / 0.4)
    found = example["pcen"](np.log(energy * 2), 0.04, 1e-6)  # a window of 40 ms holds twice the energy
    for t, row in enumerate(found):
        past = keep ** np.arange(t, -1, -1)
        mean = (1 - keep) * (past[:, None] * energy[: t + 1]).sum(axis=0) + keep ** (t + 1) * energy[0]
        np.testing.assert_allclose(row, (energy[t] / (1e-6 + mean) ** 0.98 + 2) ** 0.5 - 2**0.5)


@converts
@pytest.mark.slow
@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with fsdd.npz")
def test_from_streams_to_the_board(tmp_path):
    """A later run goes on where one was stopped."""
    pytest.importorskip("tflite_micro")
    table = tmp_path / "table.csv"
    printed = printed_by("wake_word.py", "--out", tmp_path, "--csv", table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["net"] for row in rows] == ["GRU 32, 40 ms", "GRU 32, 40 ms, held 0.3", "GRU 32, 40 ms, gated"]
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in row if "missed" in name or "made" in name)
    assert float(rows[0]["speech: steps made"]) == 1 > float(rows[2]["silence: steps made"])
    if rows[0]["speech: M4/s"]:
        dense, held, gated = (float(row["silence: M4/s"]) for row in rows)
        assert held < dense and gated < dense
    runs = (tmp_path / "runs.jsonl").read_text()
    assert printed_by("wake_word.py", "--out", tmp_path) == printed[printed.index("| net") :]
    assert (tmp_path / "runs.jsonl").read_text() == runs
