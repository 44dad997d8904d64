"""The result of `ksr.convert`, and the error that it raises if the result is wrong."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_sparse_rnn import runtime
from keras_sparse_rnn.files import write_file
from keras_sparse_rnn.typing import Arrays, EngineName

if TYPE_CHECKING:
    from keras_sparse_rnn.convert.report import Report
    from keras_sparse_rnn.firmware import Firmware
    from keras_sparse_rnn.runtime.engine import Engine


class VerificationError(Exception):
    """A converted model does not agree with its Keras model."""


class ConvertedModel:
    """A converted, verified model.

    Attributes:
        data: The bytes of the `.tflite` file.
        report: A `Report`: what was converted, bytes, and how it compares with the Keras model; it prints as text.
        samples: For each input two samples of the representative data, `(2, *shape without the batch axis)`, on which
            `save_firmware` compares plain C with the NumPy engine. None: it uses noise.
    """

    def __init__(self, data: bytes, report: "Report", samples: "list[np.ndarray] | None" = None) -> None:
        self.data = data
        self.report = report
        self.samples = samples
        self._engines: dict[str, Engine] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_engines": {}}  # those are loaded again where they are used

    def engine(self, name: EngineName = "litert") -> "Engine":
        """Returns the model in the engine with this name, as in `runtime.load`. It is loaded at first use."""
        if name not in self._engines:
            self._engines[name] = runtime.load(self.data, name)
        return self._engines[name]

    def predict(self, x: Arrays, engine: EngineName = "litert") -> np.ndarray | Any:
        """Returns the outputs for each sample in `x`, `(samples, ...)` real values; see `runtime.Engine.predict`."""
        return self.engine(engine).predict(x)

    def step(self, x: Arrays, engine: EngineName = "litert") -> np.ndarray | Any:
        """Runs the next step, or the next chunk, of a stream; see `runtime.Engine.step`."""
        return self.engine(engine).step(x)

    def set_threshold_scale(self, scale: float, engine: EngineName = "native") -> None:
        """Multiplies the thresholds of a delta network by a scale in one engine; see
        `runtime.Engine.set_threshold_scale`. The file stays as it is."""
        self.engine(engine).set_threshold_scale(scale)

    def reset(self) -> None:
        """Clears the state that a model converted with `stateful=True` keeps, in every engine."""
        for engine in self._engines.values():
            engine.reset()

    def save_firmware(
        self,
        folder: str | os.PathLike[str],
        framework: str = "plain-c",
        name: str = "model",
        inputs: Arrays | None = None,
        single_file: bool = False,
        cpu: str | None = None,
        small: bool = False,
        threshold_scale: bool = False,
    ) -> "Firmware":
        """Writes the model as a project for a microcontroller; see `firmware.save_firmware`.

        Returns:
            A `Firmware`; it prints flash, RAM and instructions.
        """
        from keras_sparse_rnn.firmware import save_firmware

        return save_firmware(self, folder, framework, name, inputs, single_file, cpu, small, threshold_scale)

    def drift(self, x: np.ndarray, expected: np.ndarray, engine: EngineName = "litert", parts: int = 10) -> np.ndarray:
        """Measures the error against the float model over time, to show whether it grows along a sequence.

        Args:
            x: Sequences for a model of one input, `(samples, steps, ...)`. A model converted with `stateful=True` takes
                them chunk by chunk, any whole number of chunks.
            expected: Outputs of the Keras model at each step, `(samples, steps, ...)`.
            engine: Name of the engine.
            parts: Number of intervals of time, at most the number of steps.

        Returns:
            The mean absolute error in each interval, `(parts,)`.

        Raises:
            ValueError: The model's output has no time axis, or the shapes do not fit.
        """
        loaded = self.engine(engine)
        chunk = loaded.inputs[0].shape[1]
        if len(loaded.inputs) != 1 or len(loaded.outputs) != 1 or loaded.outputs[0].shape[1:2] != (chunk,):
            raise ValueError("drift needs a model of one input and one output that has a value at each step.")
        if not 1 <= parts <= x.shape[1] or x.shape[1] % chunk or expected.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"x and expected must have the same samples and steps, a multiple of {chunk} and at least "
                f"parts={parts}; given: {x.shape} and {expected.shape}."
            )
        (outputs,) = loaded.run_chunks([x.reshape(len(x), -1, chunk, *x.shape[2:])])
        error = np.abs(outputs.reshape(expected.shape) - expected).reshape(*expected.shape[:2], -1).mean(axis=(0, 2))
        return np.array([part.mean() for part in np.array_split(error, parts)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the `.tflite` file. An existing file is replaced atomically or not at all.

        Args:
            path: Path of the file; its folder must exist.

        Raises:
            FileNotFoundError: The folder does not exist.
            ValueError: The suffix belongs to another kind of file, such as `.keras`.
        """
        write_file(path, self.data, (".tflite",))
