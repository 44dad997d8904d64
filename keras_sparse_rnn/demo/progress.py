"""Progress of the demo: bars on a terminal, plain lines otherwise."""

from contextlib import contextmanager

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Display:
    """Shows on stderr the current tasks and their progress.

    Args:
        console: A rich `Console`; by default one on stderr.
    """

    def __init__(self, console=None):
        self.console = console or Console(stderr=True, highlight=False)
        self._live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._bars = Progress(
            # 79 columns together.
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=4),
            TextColumn("{task.fields[state]:<39}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self._live,
        )

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *exception):
        self._bars.stop()

    @contextmanager
    def task(self, title, epochs=None):
        """Context manager for a long task. Yields a function `update(state, epochs_done)` that shows its progress."""
        number = self._bars.add_task(title, total=epochs, state="")
        if not self._live and epochs is None:
            self.console.print(title)

        def update(state, done=None):
            self._bars.update(number, state=state, **({} if done is None else {"completed": done}))
            if not self._live and (done is None or 4 * done // epochs > 4 * (done - 1) // epochs):
                where = "" if done is None else f" {done} of {epochs} epochs,"
                self.console.print(f"{title}:{where} {state}", soft_wrap=True)

        yield update
        self._bars.update(number, total=epochs or 1, completed=epochs or 1)


class Report(keras.callbacks.Callback):
    """Passes each epoch's figures to `update`, a function from `Display.task`, after `done` epochs of previous runs.
    Training ends when the `threading.Event` `stop` is set."""

    def __init__(self, update, done, stop):
        super().__init__()
        self._update = update
        self._done = done
        self._stop = stop

    def on_epoch_end(self, epoch, logs=None):
        if self._stop.is_set():
            self.model.stop_training = True
        state = f"loss {logs['loss']:.3f}, accuracy {100 * logs['accuracy']:.1f} %"
        if "sparsity" in logs:
            state += f", zeros {100 * logs['sparsity']:.0f} %"
        self._update(state, self._done + epoch + 1)
