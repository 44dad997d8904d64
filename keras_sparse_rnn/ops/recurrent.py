"""What the recurrent ops have in common, as `tflite/include/ksr_recurrent.h` defines it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from keras_sparse_rnn.formats import INT8X16
from keras_sparse_rnn.ops.activations import ALL_ACTIVATIONS, NUMBERS, SIGMOID, TANH
from keras_sparse_rnn.ops.block_sparse import stride_of
from keras_sparse_rnn.ops.gates import pre_activation, saturate, sigmoid_int8, tanh_int8
from keras_sparse_rnn.ops.recurrent_schema import (
    BACKWARDS_IN_ORDER,
)
from keras_sparse_rnn.ops.schema import (
    SLOTS,
    OpSchema,
)
from keras_sparse_rnn.ops.stored_weights import StoredWeights


@dataclass(frozen=True, eq=False)
class RecurrentOp(StoredWeights, ABC):
    """A recurrent op: its options and weights, and, when called, the definition that every kernel is held to.

    Attributes:
        options: The op's options, of the class `SCHEMA.options`.
        kernel `(I, gates, U)`, recurrent_kernel `(U, gates, U)`: int8 or float32.
        bias `(4, U)`: Initial values of the accumulators of each slot; int32 or float32.
        input_threshold `(I,)`: Counts (uint8, or uint16 for int16 inputs) or float32. An input is held until it differs
            by more; None if inputs are not held.
        hidden_threshold `(U,)`: Counts of h (in the unsigned type of h) or float32. The value of h that the recurrence
            reads is held until h differs by more; None if it is not held.
        output_scales `(4, U)`: int16, Q16. Factors that bring the accumulators of each output to one scale per slot;
            None if they have one already. Integer ops only.
        made_with: The `WeightScales` of convert; None in float32, and if the op was read from a file.

    Class attributes:
        SCHEMA: Its `OpSchema`.
        GATES: Names of the gates, in the order of the kernels.
        SLOTS: The use of each slot's accumulators: "gate", "candidate", or "reset" if the reset gate scales them before
            they are added to the candidate; None if the slot is not used.
        MIXES_STATE: Whether its new state is a mean of the old state and the candidate, weighted by a gate.
        READS: Name of the state that the recurrent kernel reads.
    """

    options: Any
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    input_threshold: np.ndarray | None = field(default=None, kw_only=True)
    hidden_threshold: np.ndarray | None = field(default=None, kw_only=True)
    output_scales: np.ndarray | None = field(default=None, kw_only=True)
    made_with: Any = field(default=None, kw_only=True)

    SCHEMA: ClassVar[OpSchema]
    GATES: ClassVar[tuple]
    SLOTS: ClassVar[tuple]
    MIXES_STATE: ClassVar[bool] = False
    READS: ClassVar[str] = "h"

    @property
    def is_integer(self):
        return self.options.number_format.is_integer

    @property
    def dtype(self):
        """Element type of the input and the output."""
        return self.options.number_format.activations

    @property
    def activation(self):
        """Of the candidate."""
        return ALL_ACTIVATIONS[self.options.activation]

    @property
    def recurrent_activation(self):
        """The activation of the gates; None for an op without gates."""
        return ALL_ACTIVATIONS[self.options.recurrent_activation] if "gate" in self.SLOTS else None

    @classmethod
    def are_usual(cls, options):
        """Whether it has tanh, its gates sigmoid, and states and gates lie in [-1, 1): such ops have kernels of their
        own, with indices into the tables of these two and in 8 bits no interpolation."""
        o = options
        return (
            o.activation == TANH
            and ("gate" not in cls.SLOTS or o.recurrent_activation == SIGMOID)
            and not o.state_bits
            and not o.gate_bits
        )

    @classmethod
    def are_hard(cls, options):
        """Whether it has hard_tanh, its gates hard_sigmoid, and states and gates lie in [-1, 1): GRUs of such have
        kernels of their own."""
        o = options
        numbers = o.activation, o.recurrent_activation, o.state_bits, o.gate_bits
        return numbers == (NUMBERS["hard_tanh"], NUMBERS["hard_sigmoid"], 0, 0)

    @property
    def has_usual_gates(self):
        return self.are_usual(self.options)

    @property
    def kernel_slots(self):
        """The slot of accumulators that each gate of the kernel adds to."""
        return list(self.SCHEMA.matrices[0].slots_of(vars(self.options)))

    @property
    def recurrent_slots(self):
        """The slot of accumulators that each gate of the recurrent kernel adds to."""
        return list(self.SCHEMA.matrices[1].slots_of(vars(self.options)))

    @property
    def biases(self):
        """What the accumulators start from, `(micro-layers, 4, U)`."""
        return self.bias[None]

    @property
    def state_limit(self):
        """The largest magnitude that states and candidates can have; infinity where nothing limits them."""
        gate = self.recurrent_activation
        # What a state takes over of itself may be more than all of it.
        grows = self.MIXES_STATE and gate is not None and not gate.is_gate
        return math.inf if grows else self.activation.limit

    @property
    def gates(self):
        """The names of its gates, in the order of the kernels."""
        return self.GATES

    @property
    def slots(self):
        """`SLOTS` with the op's options taken into account."""
        return self.SLOTS

    @property
    def kernels(self):
        """Its matrices with all weights; without skipping, each weight is one MAC per step."""
        return (self.kernel, self.recurrent_kernel)

    @property
    def inputs(self):
        """How many inputs a step has."""
        return len(self.kernels[0])

    def states(self, x_scale=1.0):
        """Returns the state tensors of one sample: a dict from names to `TensorInfo`.

        Args:
            x_scale: Scale of x (integer models).
        """
        present = {name for name in self._vectors() if getattr(self, name) is not None}
        slots = SLOTS * stride_of(self.options.columns, self.options.block)
        sizes = {"inputs": self.inputs, "units": self.options.units, "sums": slots + self.is_integer}
        return dict(self.SCHEMA.state_tensors(self.options, sizes, present, x_scale))

    def __call__(self, x, state=None, mask=None, last_output=None):
        """Runs the op over a sequence.

        Args:
            x: Inputs `(T, I)`, int8, int16 or float32.
            state: Dict from names to states, 1-D each: counts from the zero point (int64) or real values (float32). It
                is updated in place. None starts from zero.
            mask: Booleans `(T,)`. Where it is False the states are kept, and the output is the previous one or zero.
                None masks no step.
            last_output: Output `(U,)` before the first step, updated in place to the last one. None is zero.

        Returns:
            Outputs `(T, U)` in the dtype of x, in the order of computation, or with `BACKWARDS_IN_ORDER` in the order
            of x.
        """
        step = self._step_int8 if self.is_integer else self._step_float32
        if state is None:
            wide = np.int64 if self.is_integer else np.float32
            state = {name: np.zeros(tensor.shape[1], wide) for name, tensor in self.states().items()}
        mask = np.ones(len(x), bool) if mask is None else mask
        zero = output = np.full(self.options.units, self.options.output_zero_point, self.dtype)
        if last_output is not None:
            output = last_output.copy()
        outputs = []
        for t in range(len(x))[:: -1 if self.options.go_backwards else 1]:
            output = step(x[t], state) if mask[t] else zero if self.options.zero_output_for_mask else output
            outputs.append(output)
        if last_output is not None:
            last_output[:] = output
        return np.stack(outputs[::-1] if self.options.go_backwards == BACKWARDS_IN_ORDER else outputs)

    def acting(self, x, before, after):
        """Finds the sources that a step multiplies: all, or those that have changed if they are held.

        Args:
            x: Input of the step, `(I,)`.
            before, after: The states before and after it, as in `__call__`.

        Returns:
            Booleans for the sources of each of `kernels`: `(I,)` for the inputs, and `(U,)` for the units.
        """
        acting = [np.ones(len(kernel), bool) for kernel in self.kernels]
        for name, acts in zip(("held_x", "held_h", "held_reset"), acting, strict=False):
            if name in after:  # further micro-layers read states that are not held
                acts[: len(after[name])] = after[name] != before[name]
        return tuple(acting)

    def invoke(self, x, states, mask=None, last_output=None):
        """Returns the output tensor for the tensor x, `(B, T, I)`. States, mask and last output are as in `__call__`
        with a batch axis, `(B, size)`, `(B, T)` and `(B, U)`."""
        outputs = []
        for i, sample in enumerate(x):
            state = {name: values[i] for name, values in states.items()}
            rest = (None if given is None else given[i] for given in (mask, last_output))
            outputs.append(self(sample, state, *rest))
            for name, values in state.items():
                states[name][i] = values
        outputs = np.stack(outputs)
        return outputs if self.options.return_sequences else outputs[:, -1]

    def largest(self, x, before, after):
        """Computes the largest magnitudes of gates and of candidates in the steps of a float32 op, 0 if it has none.

        Args:
            x: Inputs `(T, I)`.
            before, after: The states before and after each step, dicts of arrays `(T, size)`.
        """
        gates, candidates = self._activated(self._all_accumulators(x, before, after), before, after)
        return tuple(max((float(np.abs(part).max()) for part in parts), default=0.0) for parts in (gates, candidates))

    def _all_accumulators(self, x, before, after):
        """Those of the steps of a float32 op, `(4, T, U)`, as in `largest`."""
        read = after["held_h"] if "held_h" in after else before[self.READS]
        acc = np.repeat(self.bias[:, None], len(x), axis=1)
        for slots, sources, kernel in (
            (self.kernel_slots, after.get("held_x", x), self.kernel),
            (self.recurrent_slots, read, self.recurrent_kernel[: self.options.units]),
        ):
            acc[slots] += np.moveaxis(product(sources, kernel), 1, 0)
        return acc

    @abstractmethod
    def _activated(self, acc, before, after):
        """Returns lists of the gates and of the candidates, from accumulators `(4, T, U)`; see `largest`."""

    @abstractmethod
    def _step_int8(self, x, state):
        """Returns the output of one step and updates the state."""

    @abstractmethod
    def _step_float32(self, x, state):
        """Likewise."""

    def sums(self, state):
        """Recomputes the state `sums` from the held states, in integers with the biases."""
        sums = self._with_biases(np.zeros_like(state["sums"]))
        self._add(sums, self.kernel_slots, self._from_x(state["held_x"]))
        if self.hidden_threshold is not None:
            self._add(sums, self._slots_from_state, self._from_state(state["held_h"]))
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
        """A view `(4, columns)` of them."""
        stride = stride_of(self.options.columns, self.options.block)
        return sums[: 4 * stride].reshape(4, stride)[:, : self.options.columns]

    def _accumulators(self, x, state):
        """Accumulators `(4, U)` of a step: the products of the input and of the state, and the biases."""
        if self.hidden_threshold is None:
            acc = self._start(x, state)
            acc[self._slots_from_state] += self._from_state(state["h"])
            return acc
        self._hold(state, "held_h", state["h"], self.hidden_threshold, self._slots_from_state, self._from_state)
        return self._start(x, state)

    def _start(self, x, state):
        """Accumulators `(4, U)` of a step from the biases, the inputs, and h if it is held."""
        if self.is_integer:
            x = x.astype(np.int64) - self.options.x_zero_point
        if self.input_threshold is None:
            acc = self.bias.astype(x.dtype)
            acc[self.kernel_slots] += self._from_x(x)
            return acc
        self._hold(state, "held_x", x, self.input_threshold, self.kernel_slots, self._from_x)
        sums = self._slots(state["sums"]).copy()
        return sums if self.is_integer else self.bias + sums

    def _hold(self, state, name, value, threshold, slots, products_of):
        """Holds a value until it has changed, and adds the product of each change to the sums in the state."""
        before = state[name]
        change, state[name] = hold(value, before, threshold)
        sums = self._with_biases(state["sums"])
        products = products_of(state[name]) - products_of(before) if self.is_integer else products_of(change)
        self._add(sums, slots, products)
        state["sums"] = sums

    @property
    def _slots_from_state(self):
        """The slots that the recurrent kernel adds to."""
        return list(self.matrices()["recurrent_kernel"][1])

    def _from_state(self, h):
        """The product of a state, as the recurrence reads it, with the recurrent kernel: `(gates, U)`."""
        kernel, _ = self.matrices()["recurrent_kernel"]
        return self._from_operand(self._read(h), kernel) if self.is_integer else product(h, kernel)

    def _add(self, sums, slots, products):
        self._slots(sums)[slots] += products

    def _from_x(self, x, kernel=None):
        """The product of inputs, counted from their zero point, with the kernel or another one: `(gates, U)`."""
        kernel = self.kernel if kernel is None else kernel
        if not self.is_integer:
            return product(x, kernel)
        shift = self.options.x_shift
        x = (x + (1 << shift >> 1)) >> shift if self.options.number_format is INT8X16 else x << shift
        return product(x, kernel)

    def _scaled(self, acc, slot=slice(None)):
        """Brings the accumulators of all slots, or of one, to one scale per slot."""
        if self.output_scales is None:
            return acc
        return (acc * self.output_scales[slot].astype(acc.dtype)) >> 16

    def gate(self, slot, acc):
        """A gate from its accumulators, Q(15 - gate_bits)."""
        o = self.options
        if self.has_usual_gates:
            return sigmoid_int8(o, slot, acc)
        return self.recurrent_activation.integer(pre_activation(o, slot, acc), o.fraction - 7, o.gate_bits)

    def candidate(self, value):
        """The candidate, Q(15 - state_bits), from its pre-activation in Q(fraction)."""
        o = self.options
        return (
            tanh_int8(o, value)
            if self.has_usual_gates
            else self.activation.integer(value, o.fraction - 7, o.state_bits)
        )

    def times(self, gate, value):
        """Multiplies a gate by a 16-bit state; the result is such a state."""
        shift = 15 - self.options.gate_bits
        return saturate((gate * value + (1 << (shift - 1))) >> shift, 16)

    def _read(self, operand):
        """A state that holds what the recurrence reads; in 16 bits it could hold more."""
        return saturate(operand, self.options.operand_bits) if self.options.number_format is INT8X16 else operand

    def _from_operand(self, operand, kernel):
        """Product of the recurrence's operand with a kernel, in integers."""
        return product(operand << self.options.h_shift, kernel)


class ResetGateOp(RecurrentOp):
    """A recurrent op with the gates of a GRU; the word `reset_gate` may omit the reset gate."""

    GATES: ClassVar[tuple] = ("z", "r", "h")
    SLOTS: ClassVar[tuple] = ("gate", "gate", "candidate", "reset")
    MIXES_STATE: ClassVar[bool] = True

    @property
    def gates(self):
        return self.GATES if self.options.reset_gate else ("z", "h")

    @property
    def slots(self):
        return self.SLOTS if self.options.reset_gate else ("gate", None, "candidate", None)


def hold(value, held, threshold):
    """Returns the change of the held value and the new held value, which is `value` if the two differ by more than the
    threshold."""
    change = value - held
    change = np.where(np.abs(change) > threshold, change, np.zeros_like(change))
    return change, np.where(change != 0, value, held)


def product(x, kernel):
    """Multiplies x (I,) by a kernel (I, gates, U)."""
    return np.tensordot(x, kernel.astype(x.dtype), 1)
