"""Shows the progress of long work on a terminal."""

import contextlib
import os
import sys
import threading

QUICK_SECONDS = 2  # work that takes less shows nothing
_BAR_WIDTH = 20


class Progress(contextlib.AbstractContextManager):
    """One line on stderr that rewrites itself, and goes when the work is done; nothing where stderr is no terminal.

    Args:
        title: Beginning of the line, such as `"convert"`.
    """

    def __init__(self, title):
        self._title = title
        self._text = ""
        self._visible = False
        self._lock = threading.Lock()
        self._terminal = None

    def __enter__(self):
        if sys.stderr is not None and sys.stderr.isatty():
            # A descriptor of its own: the one of stderr leads nowhere while TensorFlow Lite's converter runs.
            self._terminal = os.dup(sys.stderr.fileno())
            self._timer = threading.Timer(QUICK_SECONDS, self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_):
        if self._terminal is None:
            return
        self._timer.cancel()
        with self._lock:
            if self._visible:
                self._write("")
            os.close(self._terminal)
            self._terminal = None

    def show(self, text):
        """Says what is done from now on."""
        with self._lock:
            self._text = text
            self._rewrite()

    def count(self, items, text):
        """Yields the items of a sequence, with a bar of how many are done."""
        for done, item in enumerate(items):
            filled = _BAR_WIDTH * done // len(items)
            self.show(f"{text} [{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {done:,} of {len(items):,}")
            yield item

    def _appear(self):
        with self._lock:
            self._visible = self._terminal is not None
            self._rewrite()

    def _rewrite(self):
        if self._visible:
            self._write(f"{self._title}: {self._text}")

    def _write(self, text):
        with contextlib.suppress(OSError):  # a terminal that was closed ends no work
            width = os.get_terminal_size(self._terminal).columns or 80
            os.write(self._terminal, f"\r\x1b[K{text[: width - 1]}".encode())
