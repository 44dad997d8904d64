"""Random ops of each kind, over everything that their options allow."""

from dataclasses import dataclass, replace

import numpy as np

from keras_sparse_rnn.convert.pack import ModelWriter
from keras_sparse_rnn.formats import FLOAT32, INT8, INT8X16
from keras_sparse_rnn.ops import OPS
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, MOST_BITS
from keras_sparse_rnn.ops.gru import AFTER, BEFORE, SHARED, UNCOUPLED, WITHOUT
from keras_sparse_rnn.ops.recurrent import RecurrentOp
from keras_sparse_rnn.ops.recurrent_schema import BY_OUTPUTS, with_height

KINDS = list(OPS)
RESET_GATES = {"KsrGru": (WITHOUT, AFTER, BEFORE, UNCOUPLED, SHARED), "KsrEventGru": (WITHOUT, AFTER)}


@dataclass(frozen=True, eq=False)
class RandomOp:
    """An op, its constant tensors by their names, and an input `(T, I)`."""

    op: RecurrentOp
    constants: dict
    x: np.ndarray
    label: str
    activity: str = "usual"

    @property
    def output_shape(self):
        options = self.op.options
        return (1, len(self.x), options.units) if options.return_sequences else (1, options.units)

    def expected(self):
        """The output by the definition, in its tensor's shape."""
        outputs = self.op(self.x)
        return outputs[None] if self.op.options.return_sequences else outputs[-1:]

    def inputs(self, states=None, x=None):
        """Its input tensors in their order; `x` is by default one sample of its own."""
        x = self.x[None] if x is None else x
        return self.op.SCHEMA.placed({"x": x, **self.constants, **(states or {})})

    def to_model(self, stateful=False):
        """The op alone, as the bytes of a `.tflite`."""
        writer = ModelWriter()
        options = self.op.options
        scale = (1 / 64, options.x_zero_point) if self.op.is_integer else None
        out = (1 / 128, options.output_zero_point) if self.op.is_integer else None
        x = writer.add_tensor("x", (1, *self.x.shape), self.x.dtype, scale=scale)
        y = writer.add_tensor("y", self.output_shape, self.x.dtype, scale=out)
        writer.add_recurrent("random", self.op, self.constants, x, y, stateful=stateful)
        return writer.finish({"x": x}, {"y": y})


def random_op(
    seed,
    dtype=np.int8,
    kind="KsrEventGru",
    holds=None,
    activation_bits=8,
    inputs=None,
    usual_gates=None,
    reset_gate=None,
    weight_bits=None,
    deep=None,
    rank=False,
):
    """A random op: 1 to 70 units, 1 to 40 inputs, each block width, density 0 to 1, silent to saturated.

    Args:
        seed, dtype, kind: Each of them gives another op.
        activation_bits: Of integer ops, 8 or 16.
        holds: Whether it holds its inputs, and a GRU perhaps its state; None: perhaps.
        inputs: Their number; None: drawn.
        usual_gates: Whether it has tanh and sigmoid; None: perhaps.
        reset_gate, deep: Those words, of an op that has them; None: drawn, of an op with a given reset gate deep is 0.
        weight_bits: Of integer ops, as the word of that name; None: drawn.
        rank: Whether the kernels of a KsrGru without a reset gate before the product are of low rank.
    """
    rng = np.random.default_rng(seed)
    kind = OPS[kind]
    units, drawn, steps = (int(n) for n in (rng.integers(1, 71), rng.integers(1, 41), rng.integers(1, 9)))
    inputs = inputs or drawn
    activity = str(rng.choice(["silent", "usual", "all active", "saturating"]))
    options = {
        "units": units,
        "block": int(rng.choice([4, 8, 16])),
        "go_backwards": int(rng.integers(2)),
        "return_sequences": int(rng.integers(2)),
    }
    if options["return_sequences"]:
        options["go_backwards"] = int(rng.integers(3))
    options["format"] = INT8.number if dtype == np.int8 else FLOAT32.number
    own = random_words(kind.SCHEMA, rng, options)
    if "reset_gate" in own:
        drawn = np.random.default_rng([seed, 5]).choice(RESET_GATES[kind.SCHEMA.name])
        own["reset_gate"] = int(drawn) if reset_gate is None else reset_gate
    if "zeta" in own:
        of_scalars = np.random.default_rng([seed, 7])
        own |= {name: int(of_scalars.choice([0, 2**30, of_scalars.integers(2**30)])) for name in ("zeta", "nu")}
    if "deep" in own:
        may_be = reset_gate is None and own["reset_gate"] in (WITHOUT, UNCOUPLED)
        own["deep"] = int(np.random.default_rng([seed, 6]).integers(4)) * may_be if deep is None else deep
    if rank:
        holds, own["deep"], ranks = False, 0, np.random.default_rng([seed, 8])
        own["reset_gate"] = AFTER if own["reset_gate"] == BEFORE else own["reset_gate"]
        own["rank"] = int(ranks.integers(1, 2 * units + 1))
        own["recurrent_rank"] = int(ranks.integers(1, units + 1)) * int(ranks.integers(2))
    density = rng.choice([0.0, 1.0, rng.random()])
    sparse = [None, True, False][rng.integers(3)]
    kernels = kernel_shapes(kind, inputs, units, own)
    masks = [rng.random(shape) < density for shape in kernels]
    make = _int8 if dtype == np.int8 else _float32
    more_arrays = {}
    more_options, arrays, x = make(rng, kernels, masks, steps, activity)
    if kind.SCHEMA.name == "KsrEventGru":
        arrays.append(_thresholds(rng, units, dtype, activity))
    if own.get("deep"):
        more_arrays["deep_bias"] = np.concatenate([arrays[2][:, ::-1]] * own["deep"])
    op = kind(kind.SCHEMA.options(**options, **own, **more_options), *arrays, **more_arrays)
    if rank:
        op = _of_low_rank(ranks, op, dtype)
    holding = np.random.default_rng([seed, 1])  # its own, so that it changes nothing else
    if holding.random() < 0.4 if holds is None else holds:
        op = replace(op, **_thresholds_of_holds(holding, op))
    op = _with_narrow_numbers(np.random.default_rng([seed, 2]), op)
    gates = np.random.default_rng([seed, 4])
    if gates.random() < 0.4 if usual_gates is None else not usual_gates:
        op = _with_activations(gates, op)
    if op.is_integer and (np.random.default_rng([seed, 5]).random() < 0.3 if weight_bits is None else weight_bits):
        op = _of_4_bits(op)
    if activation_bits == 16:
        op, x = _of_16_bits(np.random.default_rng([seed, 3]), op, x)
    op = _with_diagonal(np.random.default_rng([seed, 6]), op)
    layout = op.laid_out().options.layout & int(np.random.default_rng([seed, 4]).choice([0, 1, 2, 3, 3, 3]))
    heights = np.random.default_rng([seed, 6])
    for sources, bit in BY_OUTPUTS.items():
        layout = with_height(layout, sources, int(heights.choice([1, 4, 8, 16])) if layout & bit else 1)
    op = replace(op, options=replace(op.options, layout=layout))
    label = f"{kind.SCHEMA.name}, seed {seed}: {op.options}, {inputs} inputs, {steps} steps, {activity}, "
    label += f"usual gates {op.has_usual_gates}, holds {op.input_threshold is not None}, "
    label += f"output scales {op.output_scales is not None}, "
    label += f"density {density:.2f}, sparse={sparse}"
    return RandomOp(op, op.constants(sparse), x, label, activity)


def _with_diagonal(rng, op):
    """Perhaps a recurrent kernel of which little but the diagonal is left, as `keep_diagonal` prunes it."""
    if rng.random() < 0.7 or getattr(op.options, "rank", 0):
        return op
    kernel, each = op.recurrent_kernel.copy(), np.arange(op.options.units)
    diagonal = kernel[each, :, each]
    low, high = (-8, 8) if op.options.weight_bits else (-128, 128)
    drawn = rng.integers(low, high, diagonal.shape) if op.is_integer else rng.normal(size=diagonal.shape) / 8
    kernel[: op.options.units][rng.random(op.options.units) < 0.9] = 0  # of the first micro-layer
    kernel[each, :, each] = drawn.astype(kernel.dtype)
    return replace(op, recurrent_kernel=kernel)


def _with_narrow_numbers(rng, op):
    """Perhaps scales of its outputs, and events of few bits."""
    if not op.is_integer:
        return op
    if rng.random() < 0.4:
        scales = rng.integers(0, 2**15, (4, op.options.columns)).astype(np.int16)
        op = replace(op, output_scales=scales)
    if op.SCHEMA.name == "KsrEventGru" and rng.random() < 0.3:
        op = replace(op, options=replace(op.options, operand_bits=int(rng.integers(2, 8))))
    return op


def _with_activations(rng, op):
    """Others than tanh and sigmoid, perhaps, and states beyond 1."""
    drawn = {name: int(rng.integers(len(ALL_ACTIVATIONS))) for name in ("activation", "recurrent_activation")}
    if op.is_integer:
        bits = int(rng.choice([0, 1, 3, rng.integers(MOST_BITS + 1)]))
        drawn |= {"state_bits": bits, "gate_bits": int(rng.integers(MOST_BITS + 1)) * int(rng.integers(2))}
    else:  # floats have no end: weights that do not make states grow from step to step
        small = {name: getattr(op, name) for name in ("kernel", "recurrent_kernel")}
        op = replace(
            op, **{name: (w / (16 * max(1, np.abs(w).max(initial=0)))).astype(np.float32) for name, w in small.items()}
        )
    words = vars(op.options) | drawn
    if "cell_bits" in words:
        drawn["cell_bits"] = max(words["cell_bits"], words["state_bits"])
    for word in op.SCHEMA.words:
        if word.name in drawn and word.ranges[op.options.format] == (0, 0):
            drawn[word.name] = 0
    return replace(op, options=replace(op.options, **drawn))


def _of_4_bits(op):
    """With the upper halves of its weights, and operands of as many more bits."""
    factors = ["input_factor_kernel", "recurrent_factor_kernel"] * bool(getattr(op.options, "rank", 0))
    kernels = {name: getattr(op, name) >> 4 for name in ("kernel", "recurrent_kernel", *factors)}
    shifts = {name: getattr(op.options, name) + 4 for name in ("x_shift", "h_shift")}
    return replace(op, **kernels, options=replace(op.options, weight_bits=4, **shifts))


def _thresholds_of_holds(rng, op):
    """From every change to none."""
    words, by_name, chosen = vars(op.options), {given.name: given for given in op.SCHEMA.constants}, []
    for name in ("input_threshold", "hidden_threshold", "reset_threshold"):
        may_be = name in by_name and op.SCHEMA.allows(by_name[name], words, {"x", *chosen})
        if may_be and (name == "input_threshold" or rng.random() < 0.7):
            chosen.append(name)
    drawn = {}
    for name in chosen:
        size, largest = (len(op.kernel), 2.0) if name == "input_threshold" else (op.options.units, 0.5)
        dtype = np.dtype(by_name[name].types[op.options.format])
        most = np.iinfo(dtype).max if op.is_integer else largest
        share = rng.random(size) ** 2 * rng.integers(2) * rng.random()
        drawn[name] = np.rint(share * most).astype(dtype) if op.is_integer else (share * most).astype(np.float32)
        drawn[name][rng.random(size) < 0.1] = most
    return drawn


def _of_16_bits(rng, op, x):
    """With int16 activations: the same weights, finer accumulators."""
    o = op.options
    operand_bits = int(rng.choice([15, rng.integers(2, 16)]))
    options = replace(
        o,
        format=INT8X16.number,
        x_zero_point=0,
        output_zero_point=0,
        x_shift=int(rng.integers(0 if op.input_threshold is None else 2, 8)),
        operand_bits=operand_bits,
        h_shift=int(rng.integers(16 - operand_bits)),
        fraction=int(rng.integers(7, 16)),
        operand_shift=int(rng.integers(14, 16)) + 15 - operand_bits,
        output_shift=int(rng.integers(14, 17)),
        # Finer accumulators, finer indices.
        **{
            name: _multiplier(getattr(o, name) * 2.0 ** rng.integers(-3, 3))
            for name in (f"multiplier_{slot}" for slot in range(4))
        },
    )
    if getattr(o, "rank", 0):
        bits = int(np.random.default_rng(o.rank).integers(2, 16))
        options = replace(options, middle_bits=bits, middle_shift=min(o.middle_shift, 15 - bits))
    op = replace(op, options=options)
    for name in ("input_threshold", "hidden_threshold"):
        threshold = getattr(op, name)
        if threshold is not None and threshold.dtype == np.uint8:
            op = replace(op, **{name: threshold.astype(np.uint16) * np.uint16(rng.integers(1, 257))})
    silent = (x == o.x_zero_point).all()
    x = rng.integers(-(2**15), 2**15, x.shape).astype(np.int16)
    return op, np.zeros_like(x) if silent else x


def random_words(schema, rng, words):
    """Values for the words that an op has besides what all recurrent ops have, with the reset gate after the product;
    `words` are the others."""
    drawn = {}
    for word in schema.words[schema.shared_words :]:
        low, high = word.range(words["format"], words | drawn)
        if word.name == "chunk_size":
            high = words["units"]
        if word.name in OF_RANK:
            drawn[word.name] = word.neutral(words["format"])
        else:
            drawn[word.name] = 1 if word.name == "reset_gate" else int(rng.integers(low, high + 1))
    return drawn


def kernel_shapes(kind, inputs, units, words):
    """Of the kernel and the recurrent kernel of an op with these words of its own."""
    gates = len(kind.SCHEMA.matrices[0].slots_of(words))
    columns = kind.SCHEMA.columns({**words, "units": units})
    return [(sources, gates, columns) for sources in (inputs, units * (1 + words.get("deep", 0)))]


OF_RANK = ("rank", "recurrent_rank", "middle_multiplier_0", "middle_multiplier_1", "middle_shift", "middle_bits")


def _of_low_rank(rng, op, dtype):
    """The op with kernels that read the middle of factors, all drawn anew."""
    o, inputs, gates = op.options, len(op.kernel), op.kernel.shape[1]
    shapes = {
        "kernel": (o.rank, gates, o.units),
        "recurrent_kernel": (o.recurrent_rank, op.recurrent_kernel.shape[1], o.units),
        "input_factor_kernel": (inputs, 1, o.rank),
        "recurrent_factor_kernel": (o.units, 1, o.recurrent_rank or o.rank),
    }
    masks = {name: rng.random(shape) < rng.choice([0.3, 1.0]) for name, shape in shapes.items()}
    if dtype == np.float32:
        matrices = {
            name: (rng.normal(0, shape[0] ** -0.5 if shape[0] else 1, shape) * masks[name]).astype(np.float32)
            for name, shape in shapes.items()
        }
        return replace(op, **matrices)
    matrices = {name: (rng.integers(-128, 128, shape) * masks[name]).astype(np.int8) for name, shape in shapes.items()}
    start = rng.integers(-(2**14), 2**14, o.rank + o.recurrent_rank).astype(np.int32)
    words = {f"middle_multiplier_{n}": _multiplier(rng.uniform(0.5, 2) * 2.0 ** rng.integers(16, 22)) for n in range(2)}
    words["middle_shift"] = int(rng.integers(4))
    return replace(op, options=replace(o, **words), middle_start=start, **matrices)


def _int8(rng, kernels, masks, steps, activity):
    (inputs, _, columns), _ = kernels
    saturating = activity == "saturating"
    options = {
        "x_zero_point": int(rng.integers(-128, 128)),
        "x_shift": int(rng.integers(4)),
        "h_shift": int(rng.integers(4)),
        "fraction": int(rng.integers(7, 11)),
        "operand_multiplier": int(rng.integers(2**14, 2**15)),
        "operand_shift": int(rng.integers(19, 23)),
        "output_multiplier": int(rng.integers(2**14, 2**15)),
        "output_shift": int(rng.integers(21, 26)),
        "output_zero_point": int(rng.integers(-128, 128)),
    }
    scale = 2.0 ** rng.integers(-14, -6) * (64 if saturating else 1)
    for slot, bits in enumerate((38, 38, 42, 42)):
        options[f"multiplier_{slot}"] = _multiplier(scale * rng.uniform(0.5, 2) * 2.0**bits)
    bias_limit = 2**29 if saturating else 2**14
    bias = rng.integers(-bias_limit, bias_limit, (4, columns))
    if activity == "all active":
        bias[2] = 2**24
    weights = [
        (rng.integers(-128, 128, shape) * mask).astype(np.int8) for shape, mask in zip(kernels, masks, strict=True)
    ]
    x = rng.integers(-128, 128, (steps, inputs)).astype(np.int8)
    if activity == "silent":
        x[:] = options["x_zero_point"]
    return options, [*weights, bias.astype(np.int32)], x


def _multiplier(factor):
    """At most 15 significant bits, below 2^31."""
    shift = max(int(factor).bit_length() - 15, 0)
    return min(int(factor) >> shift << shift, 0x7FFF0000)


def _float32(rng, kernels, masks, steps, activity):
    (inputs, _, columns), _ = kernels
    gain = 20 if activity == "saturating" else 1
    weights = [
        rng.normal(0, gain / np.sqrt(shape[0]), shape).astype(np.float32) * mask
        for shape, mask in zip(kernels, masks, strict=True)
    ]
    bias = rng.normal(0, 0.5, (4, columns)).astype(np.float32)
    return {}, [*weights, bias], rng.normal(size=(steps, inputs)).astype(np.float32)


def _thresholds(rng, units, dtype, activity):
    if dtype == np.int8:
        low, high = {"silent": (32767, 32768), "all active": (0, 1)}.get(activity, (0, 8000))
        return rng.integers(low, high, units).astype(np.int16)
    level = {"silent": 2.0, "all active": -2.0}.get(activity)
    return (rng.uniform(0, 0.2, units) if level is None else np.full(units, level)).astype(np.float32)
