"""The cost of a recurrent net on a microcontroller, measured in int8 on an emulated board."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.convert import convert
from keras_sparse_rnn.firmware import qemu
from keras_sparse_rnn.runtime.model import Model


@dataclass(frozen=True)
class BoardCost:
    """The cost of the recurrent layer of a net, in int8.

    Attributes:
        bytes: Bytes of its kernels as stored, including the index.
        instructions: Mean instructions per counted step; None if `qemu.missing_tools()` names any.
    """

    bytes: int
    instructions: float | None


def board_cost(model, sample, x, valid=None, cpu="cortex-m4"):
    """Converts the part of a net up to its layer `"recurrent"`, and runs it on a board.

    Args:
        model: A Keras model whose layer of that name returns sequences.
        sample: Sequences that determine the ranges of the activations, `(samples, steps, features)`.
        x, valid, cpu: As in `run_on_board`.

    Returns:
        A `BoardCost`.

    Raises:
        ValueError, VerificationError, RuntimeError: As `convert` and `qemu.measure` do.
    """
    recurrent = keras.Model(model.inputs, model.get_layer("recurrent").output)
    converted = convert(recurrent, sample, time_steps=sample.shape[1])
    return BoardCost(sum(layer.bytes for layer in converted.report.layers), run_on_board(converted, x, valid, cpu)[1])


def run_on_board(converted, x, valid=None, cpu="cortex-m4"):
    """Runs sequences one after the other without a reset, one step per call, as on a real board.

    Args:
        converted: A `ConvertedModel` that plain C can run step by step.
        x: The sequences, `(samples, steps, features)`.
        valid: Boolean array `(samples, steps)`, True for the steps to count; by default all.
        cpu: One of `firmware.targets.TARGETS`.

    Returns:
        outputs: Real values of the model after each step, `(samples, steps, values)`.
        instructions: The mean number of executed instructions per counted step.

        Both are None if `qemu.missing_tools()` names any.
    """
    if qemu.missing_tools():
        return None, None
    model = Model(converted.data)
    seen = qemu.measure(model, model.inputs[0].quantize(x).reshape(-1, x.shape[2]), cpu)
    y, counted = model.outputs[0], np.ones(x.shape[:2], bool) if valid is None else valid
    outputs = (seen.outputs.astype(np.float32) - y.zero_point) * y.scale
    instructions = np.array(seen.instructions)[counted.ravel()].mean()
    return outputs.reshape(*x.shape[:2], -1), float(instructions)
