"""Small recurrent models, and data for them."""

import keras
import numpy as np


def event_model(layers, steps=12, inputs=7, seed=0):
    """A Sequential model; its weights are large enough for a fifth of its units to fire."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((steps, inputs)), *layers])


def sequences(samples=24, steps=12, inputs=7, seed=0):
    return np.random.default_rng(seed).normal(size=(samples, steps, inputs)).astype(np.float32)


def kernels_of(layer):
    """Kernels by name; a DeltaDense has no recurrent one, an ONLSTM those of master gates too."""
    names = ("kernel", "recurrent_kernel", "master_kernel", "master_recurrent_kernel")
    return {name: getattr(layer.cell, name) for name in names if hasattr(layer.cell, name)}


def prune(layer, share=0.9, seed=0):
    """Zeroes random 1x4 blocks of the kernels."""
    rng = np.random.default_rng(seed)
    for variable in kernels_of(layer).values():
        values = np.array(keras.ops.convert_to_numpy(variable))
        gates = values.reshape(len(values), -1, min(layer.units, values.shape[1]))
        for first in range(0, gates.shape[-1], 4):
            gates[:, :, first : first + 4] *= (rng.random(gates.shape[:2]) > share)[..., None]
        variable.assign(values)
