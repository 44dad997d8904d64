"""Data sets for classification: sequences of features, all of one length, with their classes."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_sparse_rnn.experiments.log_mel import HOP_S, log_mel

FSDD_RATE = 8000
FSDD_SECONDS = 0.72  # the few longer recordings are cut off
FSDD_TEST = range(5)  # official test set: recordings 0-4 of each speaker and digit


@dataclass(frozen=True, eq=False)
class Split:
    """Sequences and their classes.

    Attributes:
        x: float32 array (sequences, steps, features), standardised; the padding before a sequence's first step is 0.
        valid: bool array (sequences, steps), False for padding.
        y: int array (sequences,): the classes, from 0.
    """

    x: np.ndarray
    valid: np.ndarray
    y: np.ndarray

    def __len__(self):
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set for classification.

    Attributes:
        title: The usual name.
        inputs: A description of the features of a step.
        step_ms: Milliseconds between two steps.
        classes: Names of the classes.
        train, test: The official split.
        mean, deviation: Arrays (features,) with which x was standardised.
    """

    title: str
    inputs: str
    step_ms: float
    classes: tuple
    train: Split
    test: Split
    mean: np.ndarray | float = 0.0
    deviation: np.ndarray | float = 1.0


@dataclass(frozen=True, eq=False)
class Recordings:
    """Spoken words.

    Attributes:
        audio: A list of float arrays of samples in [-1, 1], `FSDD_RATE` per second.
        digit, speaker, index: int arrays (recordings,): digit, speaker and take number.
    """

    audio: list
    digit: np.ndarray
    speaker: np.ndarray
    index: np.ndarray


def load(name):
    """Loads the data set `"japanese-vowels"` or `"fsdd"`.

    Raises:
        ValueError: KSR_DATA is not set, or its file has other contents.
        FileNotFoundError: The folder KSR_DATA has no fsdd.npz.
    """
    return {"japanese-vowels": japanese_vowels, "fsdd": fsdd}[name]()


def japanese_vowels():
    """Loads Japanese Vowels: which of nine men says /ae/? 270 sequences for training, 370 for testing, of 7-29 steps.

    12 LPC cepstra per step. Source: Kudo, Toyama & Shimbo 1999, "Multidimensional curve classification using
    passing-through regions", Pattern Recognition Letters 20; the copy in the wheel of aeon.
    """
    from aeon.datasets import load_japanese_vowels

    sequences, y = {}, {}
    for split in ("train", "test"):
        series, labels = load_japanese_vowels(split=split)
        sequences[split] = [channels.T for channels in series]
        y[split] = labels.astype(int) - 1
    speakers = tuple(f"speaker {i}" for i in range(1, 10))
    return Data("JapaneseVowels", "12 cepstra", 6.4, speakers, *_splits(sequences, y, steps=29))


def basic_motions():
    """Loads BasicMotions: which of four motions does a smart watch record? 40 sequences of 10 s each for training and
    testing.

    Acceleration and rotation about 3 axes, 10 times a second. Source: J. Clements 2016, from the UEA archive of
    multivariate time series (Bagnall et al. 2018, arXiv:1811.00075); the copy in the wheel of aeon.
    """
    from aeon.datasets import load_basic_motions

    sequences, y = {}, {}
    for split in ("train", "test"):
        series, labels = load_basic_motions(split=split)
        classes, y[split] = np.unique(labels, return_inverse=True)
        sequences[split] = [axes.T for axes in series]
    return Data("BasicMotions", "6 axes", 100.0, tuple(map(str, classes)), *_splits(sequences, y, steps=100))


def fsdd(hop_s=HOP_S, test=FSDD_TEST):
    """Loads spoken digits of six speakers: which digit is it? 2,700 recordings for training, 300 for testing.

    32 log-mel bands per step, of `fsdd_recordings` in its official split.

    Args:
        hop_s: Seconds from one step to the next; the window of each step is 1.25 times as long.
        test: Range of the recordings of each speaker and digit for testing. Recordings before it are left out: with
            `range(5, 10)`, the test set is a part of the official training set and can serve for model selection.
    """
    recordings = fsdd_recordings()
    return spoken_digits(recordings, recordings.index >= test.stop, np.isin(recordings.index, test), hop_s)


def spoken_digits(recordings, train, test, hop_s=HOP_S):
    """Like `fsdd` with a given split: bool arrays `(recordings,)` that select from `fsdd_recordings()`."""
    steps = round(FSDD_SECONDS / hop_s)
    sequences, y = {}, {}
    for split, chosen in (("train", train), ("test", test)):
        which = np.flatnonzero(chosen)
        sequences[split] = [log_mel(recordings.audio[i], FSDD_RATE, hop_s)[:steps] for i in which]
        y[split] = recordings.digit[which]
    splits = _splits(sequences, y, steps)
    return Data("Free Spoken Digits", "32 log-mel bands", 1000 * hop_s, tuple("0123456789"), *splits)


def fsdd_recordings():
    """Loads all 3,000 recordings of the Free Spoken Digit Dataset as `Recordings`.

    Source: github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0), as one file `fsdd.npz` in the folder that
    the environment variable KSR_DATA names: `samples` (int16 at 8 kHz, all recordings end to end), `length` (samples of
    each), `digit`, `speaker`, `index`.
    """
    folder = os.environ.get("KSR_DATA")
    if not folder:
        raise ValueError("--data fsdd needs the environment variable KSR_DATA: the folder that holds fsdd.npz.")
    path = Path(folder).expanduser() / "fsdd.npz"
    if not path.is_file():
        raise FileNotFoundError(f"--data fsdd needs the file {path}; KSR_DATA must name the folder that holds it.")
    names = ("samples", "length", "digit", "speaker", "index")
    with np.load(path) as file:
        missing = set(names) - set(file.files)
        if missing:
            raise ValueError(f"{path} must hold the arrays {', '.join(names)}; missing: {sorted(missing)}.")
        samples, length, digit, speaker, index = (file[name] for name in names)
    audio = np.split(samples / 2.0**15, np.cumsum(length)[:-1])
    return Recordings(audio, digit.astype(int), speaker.astype(int), index.astype(int))


def _splits(sequences, y, steps):
    """Standardises by the training frames, and pads in front, where zeros cost an event layer nothing."""
    frames = np.concatenate(sequences["train"])
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    splits = []
    for split in ("train", "test"):
        x = np.zeros((len(y[split]), steps, len(mean)), np.float32)
        valid = np.zeros(x.shape[:2], bool)
        for row, present, sequence in zip(x, valid, sequences[split], strict=True):
            row[steps - len(sequence) :] = (sequence - mean) / deviation
            present[steps - len(sequence) :] = True
        splits.append(Split(x, valid, y[split]))
    return *splits, mean, deviation
