"""The line that a long conversion shows."""

import contextlib
import os
import time

from event_models import event_model, sequences
from keras.layers import Dense

import keras_sparse_rnn as ksr
from keras_sparse_rnn import progress
from keras_sparse_rnn.layers import EventGRU
from keras_sparse_rnn.progress import Progress

CLEAR = "\r\x1b[K"


@contextlib.contextmanager
def terminal():
    """Makes stderr a terminal; `read()` gives what it was sent since."""
    screen, descriptor = os.openpty()
    os.set_blocking(screen, False)

    def read():
        try:
            return os.read(screen, 100_000).decode()
        except BlockingIOError:
            return ""

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
            deadline = time.monotonic() + 20
            while not (shown := read()) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert shown == f"{CLEAR}convert: first"
            line.show("x" * 1000)
            assert 20 < len(read()) <= len(CLEAR) + 80
        assert read() == CLEAR


def test_quick_work_shows_nothing():
    with terminal() as read:
        with Progress("convert") as line:
            line.show("first")
        assert read() == ""


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
        shown = read()
    for step in ("TensorFlow Lite's converter", "packing events", "verifying events", "24 samples in litert"):
        assert step in shown
    assert shown.endswith(CLEAR)


def test_counted_work_shows_a_bar(monkeypatch):
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0)
    with terminal() as read, Progress("run") as line:
        shown, expected = "", ["run: ", "run: samples [###############.....] 3 of 4"]
        for end in expected:
            deadline = time.monotonic() + 20
            while not shown.endswith(end) and time.monotonic() < deadline:
                time.sleep(0.02)
                shown += read()
            assert shown.endswith(end)
            assert list(line.count("abcd", "samples")) == list("abcd")
