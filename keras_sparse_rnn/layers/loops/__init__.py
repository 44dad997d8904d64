"""What differs between the backends: a loop over time, and a function with a gradient written by hand.

    scan(step, states, sequences, emits, reverse=False) -> final states, emitted sequences
    with_gradient(forward, backward, arrays) -> outputs

`step(states, inputs) -> (states, emitted)` works on tuples: the states, the slices of the time-major `sequences` at one
time, and `emits` arrays in shape and dtype like the first of those slices. With `reverse` time runs from the last slice
to the first; what is emitted stays in the order of the sequences. A gradient through `scan` is the backend's own.

`forward(*arrays) -> (outputs, residuals)` and `backward(residuals, upstream) -> gradients`, one for each array, or None
for an array without one (a mask). They must not close over arrays. `upstream` has one gradient for each output.
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
