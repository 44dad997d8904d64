"""Random KsrEventGru ops, over everything that the op's options allow."""

from dataclasses import dataclass

import numpy as np

from keras_sparse_rnn.convert.pack import ModelWriter, pack_weights
from keras_sparse_rnn.runtime.event_gru import READOUTS, EventGruOptions
from keras_sparse_rnn.runtime.reference import EventGruWeights


@dataclass(frozen=True, eq=False)
class RandomOp:
    options: EventGruOptions
    weights: EventGruWeights
    constants: list
    x: np.ndarray  # (T, I)
    label: str

    @property
    def output_shape(self):
        steps = len(self.x) if self.options.return_sequences else None
        return (1, self.options.units) if steps is None else (1, steps, self.options.units)

    def to_model(self):
        """The op alone, as the bytes of a `.tflite`."""
        writer = ModelWriter()
        is_int8 = self.x.dtype == np.int8
        scale = (1 / 64, self.options.x_zero_point) if is_int8 else None
        out = (1 / 128, self.options.output_zero_point) if is_int8 else None
        x = writer.add_tensor("x", (1, *self.x.shape), self.x.dtype, scale=scale)
        y = writer.add_tensor("y", self.output_shape, self.x.dtype, scale=out)
        writer.add_event_gru("random", self.options, self.constants, x, y)
        return writer.finish({"x": x}, {"y": y})


def random_op(seed, dtype=np.int8):
    """A random op: 1 to 70 units, 1 to 40 inputs, each block width, density 0 to 1, silent to saturated."""
    rng = np.random.default_rng(seed)
    units, inputs, steps = rng.integers(1, 71), rng.integers(1, 41), rng.integers(1, 9)
    block = int(rng.choice([4, 8, 16]))
    activity = rng.choice(["silent", "usual", "all active", "saturating"])
    options = {
        "units": int(units),
        "block": block,
        "readout": int(rng.integers(3)),
        "go_backwards": int(rng.integers(2)),
        "return_sequences": int(rng.integers(2)),
        "reset": int(rng.integers(2)),
        "trace_rate": int(rng.integers(2**31)),
    }
    density = rng.choice([0.0, 1.0, rng.random()])
    sparse = [None, True, False][rng.integers(3)]
    make = _int8_op if dtype == np.int8 else _float32_op
    options, weights, x = make(rng, options, int(inputs), int(steps), density, activity)
    options = EventGruOptions(**options)
    label = f"seed {seed}: {units} units, {inputs} inputs, 1x{block}, density {density:.2f}, {activity}, "
    label += f"{READOUTS[options.readout]}, {steps} steps, sparse={sparse}"
    return RandomOp(options, weights, pack_weights(weights, block, sparse), x, label)


def _mask(rng, shape, density):
    return rng.random(shape) < density


def _int8_op(rng, options, inputs, steps, density, activity):
    units = options["units"]
    saturating = activity == "saturating"
    options |= {
        "x_zero_point": int(rng.integers(-128, 128)),
        "x_shift": int(rng.integers(4)),
        "y_shift": int(rng.integers(4)),
        "fraction": int(rng.integers(7, 11)),
        "event_multiplier": int(rng.integers(2**14, 2**15)),
        "event_shift": int(rng.integers(19, 23)),
        "output_multiplier": int(rng.integers(2**14, 2**15)),
        "output_shift": int(rng.integers(18, 25)),
        "output_zero_point": int(rng.integers(-128, 128)),
    }
    scale = 2.0 ** rng.integers(-14, -6)
    for slot in "zrxy":
        multiplier = scale * rng.uniform(0.5, 2) * 2.0 ** (options["fraction"] + 32) * (64 if saturating else 1)
        options[f"{slot}_multiplier"] = int(min(multiplier, 2**31 - 1))
    low, high = {"silent": (32767, 32768), "all active": (0, 1)}.get(activity, (0, 8000))
    bias_limit = 2**29 if saturating else 2**14
    bias = rng.integers(-bias_limit, bias_limit, (4, units))
    if activity == "all active":
        bias[2] = 2**24
    weights = EventGruWeights(
        (rng.integers(-128, 128, (inputs, 3, units)) * _mask(rng, (inputs, 3, units), density)).astype(np.int8),
        (rng.integers(-128, 128, (units, 3, units)) * _mask(rng, (units, 3, units), density)).astype(np.int8),
        bias.astype(np.int32),
        rng.integers(low, high, units).astype(np.int16),
    )
    x = rng.integers(-128, 128, (steps, inputs)).astype(np.int8)
    if activity == "silent":
        x[:] = options["x_zero_point"]
    return options, weights, x


def _float32_op(rng, options, inputs, steps, density, activity):
    units = options["units"]
    gain = 20 if activity == "saturating" else 1
    threshold = {"silent": 2.0, "all active": -2.0}.get(activity)
    weights = EventGruWeights(
        rng.normal(0, gain / np.sqrt(inputs), (inputs, 3, units)).astype(np.float32)
        * _mask(rng, (inputs, 3, units), density),
        rng.normal(0, gain / np.sqrt(units), (units, 3, units)).astype(np.float32)
        * _mask(rng, (units, 3, units), density),
        rng.normal(0, 0.5, (4, units)).astype(np.float32),
        (rng.uniform(0, 0.2, units) if threshold is None else np.full(units, threshold)).astype(np.float32),
    )
    return options, weights, rng.normal(size=(steps, inputs)).astype(np.float32)
