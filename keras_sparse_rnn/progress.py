"""Shows the progress of long work on a terminal."""

import contextlib
import os
import sys
import threading

QUICK_SECONDS = 2  # shorter work shows nothing
_BAR_WIDTH = 20


class Progress(contextlib.AbstractContextManager):
    """A line on stderr that is updated in place and removed when the work is done. Shows nothing if stderr is not a
    terminal.

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
            # A descriptor of its own, as that of stderr is redirected while TensorFlow Lite's converter runs.
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
        """Shows what is being done."""
        with self._lock:
            self._text = text
            self._rewrite()

    def count(self, items, text):
        """Yields the items of a sequence and shows a progress bar."""
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
        with contextlib.suppress(OSError):  # a closed terminal does not end the work
            width = os.get_terminal_size(self._terminal).columns or 80
            os.write(self._terminal, f"\r\x1b[K{text[: width - 1]}".encode())
