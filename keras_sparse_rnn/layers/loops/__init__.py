"""The code that differs between the backends: a loop over time, and a function with a hand-written gradient.

    scan(step, states, sequences, emits, reverse=False) -> final states, emitted sequences
    with_gradient(forward, backward, arrays) -> outputs

`step(states, inputs) -> (states, emitted)` works on tuples: the states, the slices of the time-major `sequences` at one
step, and `emits` arrays with the shape and dtype of the first of these slices. With `reverse`, the loop runs from the
last slice to the first; the emitted sequences keep the order of `sequences`. The backend computes gradients through
`scan`.

`forward(*arrays)` returns `(outputs, residuals)`. `backward(residuals, upstream)` returns one gradient per array, or
None for an array without a gradient (a mask). They must not close over arrays. `upstream` has one gradient per output.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_sparse_rnn.layers.loops.tensorflow import scan, with_gradient
elif keras.backend.backend() == "jax":
    from keras_sparse_rnn.layers.loops.jax import scan, with_gradient
elif keras.backend.backend() == "torch":
    from keras_sparse_rnn.layers.loops.torch import scan, with_gradient
else:
    raise ImportError(
        "keras_sparse_rnn runs on the Keras backends 'tensorflow', 'jax' and 'torch'. "
        f"KERAS_BACKEND is {keras.backend.backend()!r}."
    )

__all__ = ["scan", "with_gradient"]
