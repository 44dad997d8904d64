"""LiteRT, with the custom ops as an external delegate."""

import math
from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate

from keras_sparse_rnn.runtime.engine import Engine
from keras_sparse_rnn.runtime.model import Model
from keras_sparse_rnn.runtime.native import library_path


class LiteRTEngine(Engine):
    """The `ai-edge-litert` interpreter with its default builtin kernels and the custom ops of the C core.

    Args:
        model: A `Model`.
        num_threads: Threads for the builtin ops, at least 1; custom ops use one.

    Raises:
        ValueError: `num_threads` is below 1, or the interpreter or a custom op refuses the model.
        RuntimeError: The model has custom ops and the package was built without a C compiler.
    """

    def __init__(self, model: Model, num_threads: int = 1) -> None:
        super().__init__(model)
        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1; given: {num_threads}.")
        has_custom_ops = any(op.is_custom for op in model.operators)
        delegates = [load_delegate(str(library_path()))] if has_custom_ops else []
        try:
            self._interpreter = Interpreter(
                model_content=model.data, num_threads=num_threads, experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"LiteRT cannot load the model: {str(error) or 'it does not say why'}") from error
        # LiteRT uses the shapes that its ops compute, not those in the file; nothing has been written to them yet.
        shapes = [details["shape"].tolist() for details in self._interpreter.get_tensor_details()]
        sizes = [math.prod(shape) * t.dtype.itemsize for shape, t in zip(shapes, model.tensors, strict=False)]
        model.check_memory(sizes)
        self._input_numbers = [details["index"] for details in self._interpreter.get_input_details()]
        self._output_numbers = [details["index"] for details in self._interpreter.get_output_details()]

    def invoke(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        for number, values in zip(self._input_numbers, inputs, strict=True):
            self._interpreter.set_tensor(number, values)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:  # some builtin ops check their tensors no earlier
            raise ValueError(f"LiteRT cannot run the model: {str(error) or 'it does not say why'}") from error
        return [self._interpreter.get_tensor(number) for number in self._output_numbers]

    def reset(self) -> None:
        self._interpreter.reset_all_variables()
