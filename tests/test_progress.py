"""The line that a long conversion shows."""

import contextlib
import os
import re
import sys
import time

from event_models import event_model, sequences
from keras.layers import Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn import progress
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.progress import Progress

CLEAR = re.escape("\r\x1b[K")


@contextlib.contextmanager
def terminal():
    """Makes stderr a terminal; `read(pattern)` gives what it was sent since, as soon as all of it matches."""
    screen, descriptor = os.openpty()
    os.set_blocking(screen, False)

    def read(pattern):
        shown, deadline = "", time.monotonic() + 20
        while True:
            time.sleep(0.05)  # what a terminal was sent arrives in pieces, and late
            with contextlib.suppress(BlockingIOError):
                shown += os.read(screen, 100_000).decode()
            if re.fullmatch(pattern, shown, re.DOTALL):
                return shown
            assert time.monotonic() < deadline, f"{shown!r} is not {pattern!r}"

    try:
        with open(descriptor, "w") as stderr, contextlib.redirect_stderr(stderr):
            yield read
    finally:
        os.close(screen)


def test_long_work_shows_what_it_is_at(monkeypatch):
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0.2)
    with terminal() as read:
        with Progress("convert") as line:
            line.show("first")
            read(f"{CLEAR}convert: first")
            line.show("x" * 1000)
        shown = read(f"{CLEAR}convert: x+{CLEAR}")
        assert 20 < len(shown) <= 2 * len("\r\x1b[K") + 80


def test_quick_work_shows_nothing():
    with terminal() as read:
        with Progress("convert") as line:
            line.show("first")
        read("")


def test_no_terminal_no_line(capfd, monkeypatch):
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0)
    with Progress("convert") as line:
        line.show("first")
        time.sleep(0.05)
    assert capfd.readouterr().err == ""


def test_conversion_names_its_steps(monkeypatch):
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0)
    model = event_model([EventGRU(5, name="events"), Dense(2)])
    with terminal() as read:
        ksr.convert(model, sequences())
        print("after", end="", file=sys.stderr, flush=True)
        shown = read(f".*{CLEAR}after")
    for step in ("TensorFlow Lite's converter", "packing events", "verifying events", "24 samples in litert"):
        assert step in shown


def test_counted_work_shows_a_bar(monkeypatch):
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0)
    with terminal() as read, Progress("run") as line:
        read(f"{CLEAR}run: ")
        assert list(line.count("abcd", "samples")) == list("abcd")
        read(f".*{re.escape('run: samples [###############.....] 3 of 4')}")
