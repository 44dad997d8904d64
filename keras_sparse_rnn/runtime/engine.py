"""The base of all engines."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sparse_rnn.ops.tensor import TensorInfo
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.typing import Arrays

# Values of an input that are clipped without a warning: the share of a few outliers, and their largest distance, in
# widths of the range.
_FEW_CLIPPED, _NEAR = 0.01, 1.0


class Engine(ABC):
    """A model loaded into an interpreter.

    Attributes:
        model: The `Model` that was loaded.
        inputs, outputs: Its input and output tensors, tuples of `TensorInfo`.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.inputs = model.inputs
        self.outputs = model.outputs
        self._warned_of_clipping = False

    @abstractmethod
    def invoke(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs one inference on raw tensors.

        Args:
            inputs: List of arrays, one for each input, with exactly its shape and dtype.

        Returns:
            List of arrays, one for each output.

        Raises:
            ValueError: The engine cannot run the model on them.
        """

    @abstractmethod
    def reset(self) -> None:
        """Clears the state that variable tensors keep between inferences."""

    def set_threshold_scale(self, scale: float) -> None:
        """Multiplies the thresholds of a delta network by a scale, as `NAME_set_threshold` does in plain C.

        States are kept: it may be called between any two steps.

        Args:
            scale: Of the model's own thresholds, whatever was set before; as in `runtime.scale_thresholds`.

        Raises:
            ValueError: `scale` is out of range, the model holds neither inputs nor states, or the engine is an
                interpreter, which reads the thresholds from the file.
        """
        raise ValueError(
            "this engine reads the thresholds from the file and cannot change them. Load "
            "ksr.runtime.scale_thresholds(model, scale), or take the engine 'native' or 'reference'."
        )

    @property
    def batch_size(self) -> int:
        """Samples per inference."""
        return self.inputs[0].shape[0] if self.inputs[0].shape else 1

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of working memory by part, if the engine knows them; otherwise `{}`."""
        return {}

    def predict(self, x: Arrays) -> np.ndarray | Any:
        """Runs the model on each sample, from a clear state; a model of batch B takes B samples at a time.

        Args:
            x: Array `(samples, *shape of one input without its batch axis)` with any number of samples; for several
                inputs a list of such arrays in the order of `inputs`, or a dict with their names. Real values are
                quantized if the input is an integer one; values that have the input's dtype are passed unchanged.

        Returns:
            Array `(samples, ...)` of real values (float32), or a list of arrays if the model has several outputs.

        Raises:
            ValueError: The number of inputs, a shape or a value does not fit.

        Warns:
            UserWarning: Once, if many values, or a few by far, lie outside the range of an integer input.
        """
        outputs = self.run_chunks([values[:, None] for values in self._stored(arrays_of(x, self.inputs))])
        outputs = [values[:, 0] for values in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def run_chunks(self, x: Sequence[np.ndarray]) -> np.ndarray | Any:
        """Runs sequences chunk by chunk, each sequence from a clear state.

        Args:
            x: An array `(samples, chunks, *shape without the batch axis)` for each input, as for `predict`.

        Returns:
            A list with an array of real values (float32), `(samples, chunks, *shape without the batch axis)`, for each
            output.
        """
        samples, chunks = x[0].shape[:2]
        results = []
        for first in range(0, samples, self.batch_size):
            batch = [values[first : first + self.batch_size] for values in x]
            batch = [np.resize(values, (self.batch_size, *values.shape[1:])) for values in batch]  # the last one too
            self.reset()
            steps = [self.invoke(self._stored([values[:, i] for values in batch])) for i in range(chunks)]
            results.append([np.stack(parts, axis=1) for parts in zip(*steps, strict=True)])
        return self._real([np.concatenate(parts)[:samples] for parts in zip(*results, strict=True)])

    def step(self, x: Arrays) -> np.ndarray | Any:
        """Runs one inference from the current state: the next step, or the next chunk, of a stream.

        A model that was converted with `stateful=True` keeps its state from step to step until `reset`, so the outputs
        of a sequence taken step by step equal those of the whole sequence. Any other model starts from a clear state
        each time.

        Args:
            x: Array with the shape of one input without its batch axis, `(time_steps, ...)`; if time_steps is 1, that
                axis is optional. A model of batch B > 1 takes B streams at once, `(B, time_steps, ...)`. A list or dict
                of arrays for several inputs, as in `predict`.

        Returns:
            Real values (float32) with the output's shape, without its batch axis if that is 1, or a list of them.

        Raises:
            ValueError: The number of inputs or a shape does not fit.
        """
        arrays = arrays_of(x, self.inputs)
        for i, (values, tensor) in enumerate(zip(arrays, self.inputs, strict=True)):
            batch = values[None] if self.batch_size == 1 else values
            is_one_step = tensor.shape[1:2] == (1,) and batch.shape[1:] == tensor.shape[2:]
            arrays[i] = batch[:, None] if is_one_step else batch
        columns = self._stored(arrays)
        if len(columns[0]) != self.batch_size:
            raise ValueError(f"x must hold {self.batch_size} streams, as many as the model; given: {len(columns[0])}.")
        outputs = self._real(self.invoke(columns))
        if self.batch_size == 1:
            outputs = [values[0] for values in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def _stored(self, arrays):
        """Samples for each input as its tensor stores them; see `quantized`."""
        stored = quantized(arrays, self.inputs)
        for values, tensor, rows in zip(stored, self.inputs, self.model.index_ranges, strict=True):
            if rows is not None and values.size and not 0 <= values.min() <= values.max() < rows:
                wrong = values[(values < 0) | (values >= rows)][0]
                raise ValueError(
                    f"x for input '{tensor.name}' must hold indices from 0 to {rows - 1}, of the rows of a table (an "
                    f"Embedding, for one); given: {wrong}."
                )
        if not self._warned_of_clipping:
            self._warn_of_clipping(arrays)
        return stored

    def _warn_of_clipping(self, arrays):
        for values, tensor in zip(arrays, self.inputs, strict=True):
            if tensor.scale is None or values.dtype == tensor.dtype or not values.size:
                continue
            name, scale, limits = f"input '{tensor.name}'", tensor.scale, np.iinfo(tensor.dtype)
            counts = values / scale + tensor.zero_point
            if np.ndim(scale):
                axes = tuple(range(values.ndim - 1))
                channel = np.maximum(limits.min - counts.min(axis=axes), counts.max(axis=axes) - limits.max).argmax()
                name, scale = f"channel {channel} of {name}", scale[channel]
                values, counts = values[..., channel], counts[..., channel]
            beyond = max(limits.min - counts.min(), counts.max() - limits.max)
            if beyond < 1:
                continue
            share = np.mean((counts < limits.min - 1) | (counts > limits.max + 1))
            if share > _FEW_CLIPPED or beyond > _NEAR * (limits.max - limits.min):
                self._warned_of_clipping = True
                low, high = ((limit - tensor.zero_point) * scale for limit in (limits.min, limits.max))
                warnings.warn(
                    f"{share:.1%} of the values of {name}, which go from {values.min():.4g} to "
                    f"{values.max():.4g}, lie outside of what its {tensor.dtype.name} can hold, {low:.4g} to "
                    f"{high:.4g}, the range that convert was given, and are clipped. Scale x as in training, or "
                    "convert with representative_data, or ranges, as in use.",
                    stacklevel=4,
                )

    def _real(self, outputs):
        return [tensor.dequantize(values) for tensor, values in zip(self.outputs, outputs, strict=True)]


def arrays_of(x: Arrays, tensors: Sequence[TensorInfo]) -> list[np.ndarray]:
    """Returns the arrays that a user gives for the inputs, as a list in the order of the inputs.

    Raises:
        ValueError: Their names, or their number, differ from those of the inputs.
    """
    if isinstance(x, dict):
        names = [tensor.name for tensor in tensors]
        if set(x) != set(names):
            raise ValueError(f"x must have the keys {names}; given: {sorted(x)}.")
        given = [x[name] for name in names]
    else:
        given = list(x) if isinstance(x, (list, tuple)) else [x]
    if len(given) != len(tensors):
        raise ValueError(f"x must hold {len(tensors)} arrays, one for each input; given: {len(given)}.")
    return [np.asarray(values) for values in given]


def quantized(arrays: Sequence[np.ndarray], tensors: Sequence[TensorInfo]) -> list[np.ndarray]:
    """Returns the samples for each input, `(samples, *shape without the batch axis)`, in the dtype of its tensor.

    Raises:
        ValueError: A shape does not fit, or the inputs differ in the number of samples.
    """
    for values, tensor in zip(arrays, tensors, strict=True):
        if values.shape[1:] != tensor.shape[1:] or len(values) == 0 or len(values) != len(arrays[0]):
            raise ValueError(
                f"x for input '{tensor.name}' must have the shape {('samples', *tensor.shape[1:])} with at least "
                f"one sample, the same number for each input; given: {values.shape}."
            )
    return [tensor.quantize(values) for values, tensor in zip(arrays, tensors, strict=True)]


def refuse_sparse_encodings(model: Model) -> None:
    """Raises ValueError if weights are in an encoding that all engines but LiteRT would read as garbage."""
    for tensor in model.tensors:
        if tensor.sparsity is not None:
            raise ValueError(
                f"tensor '{tensor.name}' is stored in the sparse encoding of LiteRT, which no other engine reads; take "
                "the engine 'litert', or convert the model with target=\"tflm\"."
            )
