"""What every engine offers."""

from abc import ABC, abstractmethod

import numpy as np


class Engine(ABC):
    """A model loaded into something that runs it.

    Attributes:
        model: The `Model` that was loaded.
        inputs, outputs: Its input and output tensors, tuples of `TensorInfo`.
    """

    def __init__(self, model):
        self.model = model
        self.inputs = model.inputs
        self.outputs = model.outputs

    @abstractmethod
    def invoke(self, inputs):
        """One inference on raw tensors.

        Args:
            inputs: List of arrays, one for each input, of exactly its shape and dtype.

        Returns:
            List of arrays, one for each output.
        """

    @abstractmethod
    def reset(self):
        """Clears the state that variable tensors keep between inferences."""

    @property
    def memory(self):
        """Bytes of working memory by part, as far as the engine can tell; `{}` where it cannot."""
        return {}

    def predict(self, x):
        """Runs the model on each sample, from a clear state.

        Args:
            x: Array `(samples, *shape of one input without its batch axis)`, or for several inputs a list of such
                arrays in the order of `inputs` or a dict by their names. Real values are quantized where the model's
                input is; values that have the input's dtype already are taken as they are.

        Returns:
            Array `(samples, ...)` of real values (float32), or a list of them where the model has several outputs.

        Raises:
            ValueError: The number of inputs or a shape does not fit.
        """
        results = []
        for sample in zip(*self._columns(self._arrays(x)), strict=True):
            self.reset()
            results.append(self.invoke([value[None] for value in sample]))
        return self._real([np.concatenate(parts) for parts in zip(*results, strict=True)])

    def step(self, x):
        """Goes on by one inference from the state that the one before has left: a step, or a chunk, of a stream.

        A model that was converted with `stateful=True` keeps its state from step to step until `reset`; the outputs of
        a sequence taken step by step are those of the whole sequence. Any other model starts afresh each time.

        Args:
            x: Array of the shape of one input without its batch axis, `(time_steps, ...)`; where time_steps is 1, that
                axis may be left out. A list or dict of arrays for several inputs, as in `predict`.

        Returns:
            Real values (float32) of the output's shape without its batch axis, or a list of them.

        Raises:
            ValueError: The number of inputs or a shape does not fit.
        """
        arrays = self._arrays(x)
        for i, (values, tensor) in enumerate(zip(arrays, self.inputs, strict=True)):
            is_one_step = tensor.shape[1:2] == (1,) and values.shape == tensor.shape[2:]
            arrays[i] = values[None, None] if is_one_step else values[None]
        outputs = self.invoke(self._columns(arrays))
        return self._real([values[0] for values in outputs])

    def _real(self, outputs):
        outputs = [tensor.dequantize(values) for tensor, values in zip(self.outputs, outputs, strict=True)]
        return outputs[0] if len(outputs) == 1 else outputs

    def _arrays(self, x):
        """One array for each input, in their order."""
        if isinstance(x, dict):
            names = [tensor.name for tensor in self.inputs]
            if set(x) != set(names):
                raise ValueError(f"x must have the keys {names}; given: {sorted(x)}.")
            x = [x[name] for name in names]
        elif not isinstance(x, (list, tuple)):
            x = [x]
        if len(x) != len(self.inputs):
            raise ValueError(f"x must hold {len(self.inputs)} arrays, one for each input; given: {len(x)}.")
        return [np.asarray(values) for values in x]

    def _columns(self, x):
        """The batch as one quantized array for each input."""
        for values, tensor in zip(x, self.inputs, strict=True):
            if values.shape[1:] != tensor.shape[1:] or len(values) == 0 or len(values) != len(x[0]):
                raise ValueError(
                    f"x for input '{tensor.name}' must have the shape {('samples', *tensor.shape[1:])} with at least "
                    f"one sample, the same number for each input; given: {values.shape}."
                )
        return [tensor.quantize(values) for values, tensor in zip(x, self.inputs, strict=True)]


def refuse_sparse_encodings(model):
    """Raises ValueError where weights are in an encoding that all engines but LiteRT would read as garbage."""
    for tensor in model.tensors:
        if tensor.data is not None and tensor.data.size != np.prod(tensor.shape, dtype=np.int64):
            raise ValueError(
                f"tensor '{tensor.name}' is stored in the sparse encoding of LiteRT, which no other engine reads; take "
                "the engine 'litert', or convert the model with target=\"tflm\"."
            )
