"""What the recurrent ops have in common, as `tflite/include/ksr_recurrent.h` defines it."""

from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass, field, fields
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.block_sparse import BlockSparseMatrix, decode, encode, stride_of
from keras_sparse_rnn.ops.gates import saturate
from keras_sparse_rnn.ops.tensor import TensorInfo

BACKWARDS_IN_ORDER = 2  # as `go_backwards`


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """The custom options that each recurrent op begins with: int32 words, little-endian; see the C header for their
    meaning."""

    units: int
    block: int
    go_backwards: int
    return_sequences: int
    x_zero_point: int = 0
    x_shift: int = 0
    h_shift: int = 0
    fraction: int = 0
    multipliers: tuple = (0, 0, 0, 0)
    operand_multiplier: int = 0
    operand_shift: int = 0
    output_multiplier: int = 0
    output_shift: int = 0
    output_zero_point: int = 0
    activation_bits: int = 8
    operand_bits: int = 8

    VERSION: ClassVar[int] = 2

    @property
    def dtype(self):
        """Of the activations of an integer model."""
        return np.int16 if self.activation_bits == 16 else np.int8

    @property
    def operand_scale(self):
        """What one count of a state is worth as the recurrence reads it (int8 models)."""
        return 2.0**self.operand_shift / (2**15 * max(self.operand_multiplier, 1))  # 0 where the file was damaged

    def to_bytes(self):
        return np.hstack([self.VERSION, *astuple(self)]).astype("<i4").tobytes()

    @classmethod
    def from_bytes(cls, data):
        """Raises ValueError where the size or the version is not ours."""
        widths = {field.name: 4 if field.name == "multipliers" else 1 for field in fields(cls)}
        size = 4 * (1 + sum(widths.values()))
        version, *words = np.frombuffer(data[: len(data) // 4 * 4], "<i4").tolist() or [0]
        if version != cls.VERSION:
            raise ValueError(
                f"custom options must have the version {cls.VERSION}; given: {version}. Convert the Keras model again."
            )
        if len(data) != size:
            raise ValueError(f"custom options must have {size} bytes ({cls.__name__}); given: {len(data)}.")
        words = iter(words)
        values = {name: tuple(next(words) for _ in range(width)) for name, width in widths.items()}
        return cls(**{name: value if widths[name] > 1 else value[0] for name, value in values.items()})


@dataclass(frozen=True, eq=False)
class RecurrentOp(ABC):
    """A recurrent op: its options and weights, and, when called, the definition that every kernel is held to.

    Attributes:
        options: The op's `RecurrentOptions`.
        kernel `(I, gates, U)`, recurrent_kernel `(U, gates, U)`: int8 or float32.
        bias `(4, U)`: What the accumulators start from, slot by slot; int32 or float32.
        input_threshold `(I,)`: Counts (uint8, of int16 inputs uint16) or float32: an input is held until it differs by
            more; None where inputs are not held.
        output_scales `(4, U)`: int16, Q16: what scales the accumulators of each output to one scale a slot; None where
            they have one. Integer ops only.

    Class attributes:
        NAME: Custom code of the op.
        OPTIONS: Class of its options.
        CONSTANTS: Names of its constant tensors, inputs 1 and on; the states follow.
        GATES: Names of the gates, in the order of the kernels.
        KERNEL_SLOTS, RECURRENT_SLOTS: The slot of accumulators that each gate adds to.
        ACTIVATIONS: For each slot the table that its pre-activation is looked up in; "reset" where the reset gate
            scales it on its way to tanh, None where the slot is not used.
    """

    options: RecurrentOptions
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    input_threshold: np.ndarray | None = field(default=None, kw_only=True)
    output_scales: np.ndarray | None = field(default=None, kw_only=True)

    NAME: ClassVar[str]
    OPTIONS: ClassVar[type]
    CONSTANTS: ClassVar[tuple] = (
        "kernel",
        "kernel_index",
        "kernel_rows",
        "recurrent_kernel",
        "recurrent_kernel_index",
        "recurrent_kernel_rows",
        "bias",
        "input_threshold",
        "output_scales",
    )
    GATES: ClassVar[tuple]
    KERNEL_SLOTS: ClassVar[tuple]
    RECURRENT_SLOTS: ClassVar[tuple]
    ACTIVATIONS: ClassVar[tuple]

    @property
    def is_integer(self):
        """Whether it is made of integers: the weights are int8."""
        return self.kernel.dtype == np.int8

    @property
    def dtype(self):
        """Of input and output."""
        return self.options.dtype if self.is_integer else np.float32

    def constants(self, sparse=None):
        """The constant tensors, one for each of `CONSTANTS`; None where a tensor is absent.

        Args:
            sparse: Whether to store blocks or everything; None takes what is smaller, for each matrix.
        """
        padding = stride_of(self.options.units, self.options.block) - self.options.units
        arrays = {name: getattr(self, name) for name in self._vectors()}
        for name in ("bias", "output_scales"):
            if getattr(self, name) is not None:
                arrays[name] = np.pad(getattr(self, name), ((0, 0), (0, padding))).reshape(-1)
        for name, (kernel, slots) in self.matrices().items():
            matrix = encode(kernel, self.options.block, slots, sparse)
            arrays |= {name: matrix.values, f"{name}_index": matrix.index, f"{name}_rows": matrix.rows}
        return [arrays.get(name) for name in self.CONSTANTS]

    @classmethod
    def from_constants(cls, options, constants):
        """The op from its options and its constant tensors; absent ones at the end may be left out."""
        arrays = dict.fromkeys(cls.CONSTANTS) | dict(zip(cls.CONSTANTS, constants, strict=False))
        stride = stride_of(options.units, options.block)

        def matrix(name, slots, sources=options.units):
            stored = BlockSparseMatrix(arrays[name], arrays[f"{name}_index"], arrays[f"{name}_rows"])
            return decode(stored, sources, options.units, options.block, slots)

        rows = arrays["kernel_rows"]
        sources = len(arrays["kernel"]) // (len(cls.KERNEL_SLOTS) * stride) if rows is None else len(rows) - 1
        by_output = {
            name: None if arrays[name] is None else arrays[name].reshape(4, stride)[:, : options.units]
            for name in ("bias", "output_scales")
        }
        return cls(
            options,
            matrix("kernel", cls.KERNEL_SLOTS, sources),
            cls._read_recurrent_kernel(options, matrix),
            **by_output,
            **{name: arrays[name] for name in cls._vectors()},
        )

    @property
    def kernels(self):
        """Its matrices with every weight: as many MACs a step, where nothing is skipped."""
        return (self.kernel, self.recurrent_kernel)

    def matrices(self):
        """`(kernel, slots)` of each stored matrix by its name."""
        return {
            "kernel": (self.kernel, self.KERNEL_SLOTS),
            "recurrent_kernel": (self.recurrent_kernel, self.RECURRENT_SLOTS),
        }

    @classmethod
    def _read_recurrent_kernel(cls, options, matrix):
        """Back from what `matrices` made of it; `matrix(name, slots)` unpacks one."""
        return matrix("recurrent_kernel", cls.RECURRENT_SLOTS)

    @classmethod
    def _vectors(cls):
        """Names of the fields that are stored as they are: the input threshold, and what a subclass adds."""
        return [field.name for field in fields(cls)[4:] if field.name != "output_scales"]

    @abstractmethod
    def own_states(self):
        """The state tensors but those of held inputs, in their order: a tuple of `TensorInfo`."""

    def states(self, x_scale=1.0):
        """The state tensors of one sample, inputs after the constants, in their order: a tuple of `TensorInfo`.

        Args:
            x_scale: What one count of x is worth (int8 models).
        """
        if self.input_threshold is None:
            return self.own_states()
        held = self._state("held_x", self.options.dtype, x_scale, self.options.x_zero_point, size=len(self.kernel))
        size = 4 * stride_of(self.options.units, self.options.block) + self.is_integer
        return (*self.own_states(), held, self._state("sums", np.int32, None, None, size))

    def __call__(self, x, state=None):
        """Runs the op over a sequence.

        Args:
            x: `(T, I)`, int8, int16 or float32.
            state: Dict of the states by their names, 1-D each: counts from the zero point (int64) or real values
                (float32). It is updated. None starts from zero.

        Returns:
            The outputs in the order in which they are computed, or with `BACKWARDS_IN_ORDER` in that of x; `(T, U)`, of
            x's dtype.
        """
        step = self._step_int8 if self.is_integer else self._step_float32
        if state is None:
            wide = np.int64 if self.is_integer else np.float32
            state = {tensor.name: np.zeros(tensor.shape[1], wide) for tensor in self.states()}
        outputs = np.stack([step(x_t, state) for x_t in (x[::-1] if self.options.go_backwards else x)])
        return outputs[::-1] if self.options.go_backwards == BACKWARDS_IN_ORDER else outputs

    def invoke(self, x, states):
        """The output tensor for the tensor x, `(B, T, I)`; the states are as in `__call__`, but `(B, size)` each."""
        outputs = []
        for i, sample in enumerate(x):
            state = {name: values[i] for name, values in states.items()}
            outputs.append(self(sample, state))
            for name, values in state.items():
                states[name][i] = values
        outputs = np.stack(outputs)
        return outputs if self.options.return_sequences else outputs[:, -1]

    @abstractmethod
    def _step_int8(self, x, state):
        """The output of one step; updates the state."""

    @abstractmethod
    def _step_float32(self, x, state):
        """Likewise."""

    def _state(self, name, dtype, scale, zero_point=0, size=None):
        shape = (1, size or self.options.units)
        if not self.is_integer:
            return TensorInfo(name, shape, np.dtype(np.float32), is_variable=True)
        return TensorInfo(name, shape, np.dtype(dtype), scale, zero_point, is_variable=True)

    def sums(self, state):
        """The state `sums` computed afresh: what the states that are held feed; in integers the biases, too."""
        sums = self._with_biases(np.zeros(self.states()[-1].shape[1], state["held_x"].dtype))
        self._add(sums, self.KERNEL_SLOTS, self._from_x(state["held_x"]))
        return sums

    def _with_biases(self, sums):
        """A copy of the sums, in integers with the biases in them; a 0 behind them says that they are not, as in a
        state that was cleared."""
        sums = sums.copy()
        if self.is_integer and not sums[-1]:
            self._slots(sums)[:] += self.bias.astype(sums.dtype)
            sums[-1] = 1
        return sums

    def _slots(self, sums):
        """A view `(4, U)` of them."""
        stride = stride_of(self.options.units, self.options.block)
        return sums[: 4 * stride].reshape(4, stride)[:, : self.options.units]

    def _start(self, x, state):
        """The accumulators `(4, U)` of a step, from the biases and the inputs."""
        if self.is_integer:
            x = x.astype(np.int64) - self.options.x_zero_point
        if self.input_threshold is None:
            acc = self.bias.astype(x.dtype)
            acc[list(self.KERNEL_SLOTS)] += self._from_x(x)
            return acc
        before = state["held_x"]
        change, state["held_x"] = hold(x, before, self.input_threshold)
        products = self._from_x(state["held_x"]) - self._from_x(before) if self.is_integer else self._from_x(change)
        self._add_change(state, self.KERNEL_SLOTS, products)
        sums = self._slots(state["sums"]).copy()
        return sums if self.is_integer else self.bias + sums

    def _add_change(self, state, slots, products):
        """Adds the products of what has changed to the sums that the state keeps."""
        sums = self._with_biases(state["sums"])
        self._add(sums, slots, products)
        state["sums"] = sums

    def _add(self, sums, slots, products):
        self._slots(sums)[list(slots)] += products

    def _from_x(self, x):
        """The product of inputs, counted from their zero point, with the kernel: `(gates, U)`."""
        if not self.is_integer:
            return product(x, self.kernel)
        shift = self.options.x_shift
        x = x << shift if self.options.activation_bits == 8 else (x + (1 << shift >> 1)) >> shift
        return product(x, self.kernel)

    def _scaled(self, acc, slot=slice(None)):
        """Accumulators of all slots, or of one, at one scale a slot."""
        if self.output_scales is None:
            return acc
        return (acc * self.output_scales[slot].astype(acc.dtype)) >> 16

    def _read(self, operand):
        """A state that holds what the recurrence reads; in 16 bits it could hold more."""
        return operand if self.options.activation_bits == 8 else saturate(operand, self.options.operand_bits)

    def _from_operand(self, operand, kernel):
        """The product of what the recurrence reads with a kernel, in integers."""
        return product(operand << self.options.h_shift, kernel)


def hold(value, held, threshold):
    """How far what is held moves, and what is held then: the value where they differ by more than the threshold."""
    change = value - held
    change = np.where(np.abs(change) > threshold, change, np.zeros_like(change))
    return change, np.where(change != 0, value, held)


def product(x, kernel):
    """x (I,) times a kernel (I, gates, U)."""
    return np.tensordot(x, kernel.astype(x.dtype), 1)
