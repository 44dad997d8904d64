"""The wake word's streams, targets, and how misses are counted."""

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
    """Each recording is a constant that says whose it is and which digit."""
    who = [(speaker, digit) for speaker in range(3) for digit in range(10)]
    speaker, digit = np.array(who).T
    audio = [np.full(400, 1e-3 * (10 * s + d + 1)) for s, d in who]
    recordings = Recordings(audio, digit, speaker, np.zeros(30, int))
    make, rng = example["make_stream"], np.random.default_rng(0)
    stream = make(recordings, [1], 30, (0.1, 0.3), None, rng, 0.5)
    is_wake = np.zeros(len(stream.audio), bool)
    for begin, end in stream.words:
        is_wake[round(begin * FSDD_RATE) : round(end * FSDD_RATE)] = True
    values = np.unique(stream.audio[is_wake])
    wake = 1e-3 * (10 + example["WAKE"] + 1)
    assert len(stream.words) > 20 and (wake / 2.01 < values).all() and (values < wake * 2.01).all()  # within 6 dB
    others = stream.audio[~is_wake]
    assert others.max() < 1e-3 * 20 * 2.01 and 0.3 < np.mean(stream.audio == 0) < 0.9
    noisy = make(recordings, [1], 30, (0.1, 0.3), -40, np.random.default_rng(0), 0.5)
    assert np.std(noisy.audio - stream.audio) == pytest.approx(0.01, rel=0.05)


def test_targets_lie_at_the_end_of_a_word(example):
    target, weight = example["targets"](np.array([[1.0, 1.5]]), 100, 0.02)
    times = 0.02 * (1 + np.arange(100))
    due = (times > 1.44) & (times < 1.7401)
    np.testing.assert_array_equal(target, due)
    np.testing.assert_array_equal(weight == 0, (times > 1.0001) & (times < 2.0001) & ~due)


def test_misses_at_a_rate_of_false_accepts(example):
    """Three wake words in two hours of frames of a second, heard at .9, .6 and never; noise at .7, twice, and at .5."""
    words = np.array([[100.0, 101.0], [2000.0, 2001.0], [5000.0, 5001.0]])
    probabilities = np.zeros(7200)
    for second, value in ((100, 0.9), (2000, 0.6), (3000, 0.7), (4000, 0.7), (6000, 0.5)):
        probabilities[second] = value
    stream = example["Stream"](None, words)
    found = example["detections"](probabilities, 1.0, 0.55)
    np.testing.assert_array_equal(found, [101, 2001, 3001, 4001])
    assert example["count"](found, words) == (1, 2)
    # Two false accepts are allowed at 1 per hour: .9 and .6 are heard; one at .5 per hour: .9 alone.
    assert example["misses"](probabilities, stream, 1.0) == pytest.approx([1 / 3, 2 / 3])


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
    for kind in ("log", "floor", "pcen"):
        x = example["features"](audio, 20, kind)
        moving[kind] = np.mean(np.abs(np.diff(x[50:95], axis=0)) > 0.5 * x.std(axis=0))
        assert x[102:120].std() > 0 and np.isfinite(x).all()
    assert moving["floor"] < 0.5 * moving["log"]


@converts
@pytest.mark.slow
@pytest.mark.skipif("KSR_DATA" not in os.environ, reason="KSR_DATA does not name a folder with fsdd.npz")
def test_from_streams_to_the_board():
    pytest.importorskip("tflite_micro")
    *_, row = printed_by("wake_word.py").splitlines()
    assert row.startswith("DeltaGRU 32, 70%, 40 ms, floor")
    cells = [cell for cell in row[32:].split() if cell != "no"]
    shares = [float(cell.removesuffix("%")) for cell in cells if cell.endswith("%")]
    assert len(shares) == 10 and all(0 <= share <= 100 for share in shares)
