"""KsrFrameGate, and what recurrent ops behind it repeat: in every engine, to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from gated_models import gated_model
from random_models import KINDS, random_op
from zoo import ENGINES

from keras_sparse_rnn import runtime

FORMATS = pytest.mark.parametrize(("dtype", "bits"), [(np.int8, 8), (np.int8, 16), (np.float32, 8)])


def steps_made(x, gate, given=None):
    """Frame by frame, in plain Python."""
    zero, made = gate.options.x_zero_point, np.zeros(x.shape[:2], bool)
    for sample, frames in enumerate(x.astype(np.float64)):
        last = [zero] * x.shape[2]
        for step, frame in enumerate(frames):
            moved = sum(abs(a - b) > t for a, b, t in zip(frame, last, gate.threshold, strict=True))
            if moved >= gate.options.count and (given is None or given[sample, step]):
                made[sample, step], last = True, frame
    return made


@FORMATS
def test_in_every_engine(dtype, bits):
    """The steps that plain Python makes; at the others the output of the step before."""
    some = 0
    for seed in range(6):
        op = random_op(seed, dtype, "KsrGru", activation_bits=bits, holds=False)
        batch, with_mask = (1, False) if seed % 2 else (2, True)
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1.5, 1.5, (batch, 12, op.x.shape[1])) * (1 if dtype == np.float32 else 2**bits / 4)
        x = x.astype(op.x.dtype)
        data, gate = gated_model(replace(op, x=x[0]), batch=batch, with_mask=with_mask, seed=seed)
        given = [rng.random(x.shape[:2]) < 0.7] if with_mask else []
        made = steps_made(x, gate, *given)
        some += 0 < made.sum() < made.size
        outputs = {}
        for engine in ENGINES:
            if engine == "tflm" and batch > 1:
                continue
            outputs[engine], seen = runtime.load(data, engine).invoke([x, *given])
            np.testing.assert_array_equal(seen, made, f"{engine}, seed {seed}")
        for engine, values in outputs.items():
            if dtype == np.int8:
                np.testing.assert_array_equal(values, outputs["reference"], f"{engine}, seed {seed}")
            left_out = ~made[:, 1:]
            np.testing.assert_array_equal(values[:, 1:][left_out], values[:, :-1][left_out])
    assert some >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_repeat_as_the_whole_does(kind):
    """A stream of one step per inference gives the bits of the sequence at once, also where a step is left out."""
    for bits in (8, 16):
        op = random_op(21, np.int8, kind, activation_bits=bits, holds=False)
        x = np.random.default_rng(3).integers(-100, 100, (1, 12, op.x.shape[1])).astype(op.x.dtype) << (bits - 8)
        whole, _ = gated_model(replace(op, x=x[0]), seed=1)
        chunk, _ = gated_model(replace(op, x=x[0, :1]), stateful=True, seed=1)
        expected, made = runtime.load(whole, "reference").invoke([x])
        assert 0 < made.sum() < made.size
        for engine in ENGINES:
            stream = runtime.load(chunk, engine)
            steps = [stream.invoke([x[:, t : t + 1]]) for t in range(x.shape[1])]
            np.testing.assert_array_equal(np.concatenate([y for y, _ in steps], axis=1), expected, engine)
            stream.reset()
            first, _ = stream.invoke([x[:, :1]])
            np.testing.assert_array_equal(first, expected[:, :1], engine)
