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
        columns = self._columns(x)
        results = []
        for sample in zip(*columns, strict=True):
            self.reset()
            results.append(self.invoke([value[None] for value in sample]))
        outputs = [
            tensor.dequantize(np.concatenate([result[i] for result in results]))
            for i, tensor in enumerate(self.outputs)
        ]
        return outputs[0] if len(outputs) == 1 else outputs

    def _columns(self, x):
        """The batch as one quantized array for each input."""
        if isinstance(x, dict):
            names = [tensor.name for tensor in self.inputs]
            if set(x) != set(names):
                raise ValueError(f"x must have the keys {names}; given: {sorted(x)}.")
            x = [x[name] for name in names]
        elif not isinstance(x, (list, tuple)):
            x = [x]
        if len(x) != len(self.inputs):
            raise ValueError(f"x must hold {len(self.inputs)} arrays, one for each input; given: {len(x)}.")
        x = [np.asarray(values) for values in x]
        for values, tensor in zip(x, self.inputs, strict=True):
            if values.shape[1:] != tensor.shape[1:] or len(values) == 0 or len(values) != len(x[0]):
                raise ValueError(
                    f"x for input '{tensor.name}' must have the shape {('samples', *tensor.shape[1:])} with at least "
                    f"one sample, the same number for each input; given: {values.shape}."
                )
        return [tensor.quantize(values) for values, tensor in zip(x, self.inputs, strict=True)]
