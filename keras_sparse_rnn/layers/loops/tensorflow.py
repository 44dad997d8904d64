"""The loop over time in TensorFlow."""

import tensorflow as tf


def scan(step, states, sequences, emits, reverse=False):
    first = sequences[0]
    length = first.shape[0] or tf.shape(first)[0]
    sources = [
        tf.TensorArray(sequence.dtype, size=length, element_shape=sequence.shape[1:]).unstack(sequence)
        for sequence in sequences
    ]
    emitted = tuple(tf.TensorArray(first.dtype, size=length, element_shape=first.shape[1:]) for _ in range(emits))

    def body(count, states, emitted):
        time = length - 1 - count if reverse else count
        states, outputs = step(states, tuple(source.read(time) for source in sources))
        return count + 1, states, tuple(array.write(time, out) for array, out in zip(emitted, outputs, strict=True))

    # XLA differentiates a loop only if it knows a bound on its length.
    _, states, emitted = tf.while_loop(
        lambda count, *_: count < length, body, (0, tuple(states), emitted), maximum_iterations=length
    )
    return states, tuple(array.stack() for array in emitted)


def with_gradient(forward, backward, arrays):
    @tf.custom_gradient
    def function(*arrays):
        outputs, residuals = forward(*arrays)
        return outputs, lambda *upstream: backward(residuals, upstream)

    return function(*arrays)
