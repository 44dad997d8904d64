"""The loop over time in JAX."""

import jax


def scan(step, states, sequences, emits, reverse=False):
    del emits  # lax.scan sees it
    return jax.lax.scan(step, tuple(states), tuple(sequences), reverse=reverse)


def with_gradient(forward, backward, arrays):
    @jax.custom_vjp
    def function(*arrays):
        return forward(*arrays)[0]

    function.defvjp(forward, backward)
    return function(*arrays)
