"""KsrGru: the GRU, its reset gate after the recurrent product, before it, or left out; the recurrent highway
network; and FastGRNN; with kernels of full or of low rank (`tflite/include/ksr_gru.h`)."""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.activations import ONE
from keras_sparse_rnn.ops.block_sparse import stride_of
from keras_sparse_rnn.ops.gates import (
    gru_unit_float32,
    gru_unit_int8,
    operand_int8,
    output_int8,
    pre_activation,
    saturate,
)
from keras_sparse_rnn.ops.recurrent import ResetGateOp, product
from keras_sparse_rnn.ops.recurrent_schema import Q15_STATE, hold_of, recurrent_schema
from keras_sparse_rnn.ops.schema import LARGEST, OpSchema, Word, constant, matrix, state

WITHOUT, AFTER, BEFORE, UNCOUPLED, SHARED = range(5)  # values of `reset_gate`
_OF_OTHER_UNITS = UNCOUPLED, SHARED  # not GRUs
MOST_DEEP = 63  # micro-layers after the first
H = state("h", "Q15", "units", "int16", Q15_STATE)
DEEP_SLOTS = ((0, 2), (0, 2), (0, 2), (0, 1, 2), (0,))  # those with a reset gate are not used
RESET = replace(H, name="reset", doc="r * h")

SCHEMA = recurrent_schema(
    "KsrGru",
    "the GRU, with the reset gate after or before the recurrent product, or without one",
    ("reset_gate", ((0, 2), (0, 1, 2), (0, 1, 2), (0, 1, 2), (0,))),
    ("reset_gate", ((0, 2), (0, 1, 3), (0, 1), (0, 1, 2), (0,))),
    words=[
        Word.every(
            "reset_gate",
            "0: none; 1: after the product with R; 2: before it; 3: a gate for the candidate's share in its place; "
            "4: none, with one product for gate and candidate, as in FastGRNN",
            *(0, 4),
            usual=AFTER,
        ),
        Word.every("deep", "number of micro-layers after the first in each step; 0 with a reset gate", 0, MOST_DEEP),
        Word.every("zeta", "zeta of FastGRNN, Q30", 0, 2**30),
        Word.every("nu", "nu of FastGRNN, Q30", 0, 2**30),
        Word.every(
            "rank", "columns of `input_factor_kernel`: the kernel reads them in place of x; 0: it reads x", 0, 65535
        ),
        Word.every(
            "recurrent_rank",
            "columns of `recurrent_factor_kernel`, which `recurrent_kernel` reads; 0: they are added to those of "
            "`input_factor_kernel`, and there is no `recurrent_kernel`",
            *(0, 65535),
            limit=(0, 1, "units"),
        ),
        *(
            Word.integer(f"middle_multiplier_{n}", f"from the sums of {what} to the middle", 0, LARGEST, form="15 bits")
            for n, what in enumerate(
                ("`input_factor_kernel`", "`recurrent_factor_kernel`, where it has a middle of its own,")
            )
        ),
        Word("middle_bits", "the middle is saturated to them", int8=(8, 8), int8x16=(2, 15)),
        Word(
            "middle_shift",
            "shift to the left of the middle; at most 15 together with `middle_bits`",
            int8=(0, 7),
            int8x16=(0, 7),
            limit=(15, -1, "middle_bits"),
        ),
    ],
    inputs=[
        *matrix(
            *("deep_kernel", "R of the further micro-layers, one below the other", "deep", (0, 1, 2)),
            slots_by=("reset_gate", DEEP_SLOTS),
        ),
        constant("deep_bias", "initial values of their accumulators", "deep_slots", "float32", "int32", "int32"),
        *matrix("candidate_kernel", "R of the candidate", "units", (0,), base=3, where=("reset_gate", (BEFORE,))),
        H,
        *hold_of(RESET, "reset_threshold", "held_reset", where=("reset_gate", (BEFORE,)), needs="hidden_threshold"),
        *matrix("input_factor_kernel", "from x to the middle", "inputs", (0,), columns="rank"),
        *matrix("recurrent_factor_kernel", "from the state to the middle", "units", (0,), columns="rank"),
        constant("middle_start", "what the sums of the factors start from", "middle", None, "int32", "int32"),
    ],
    changes=[
        *hold_of(H, "hidden_threshold", "held_h", needs="input_threshold"),
    ],
)


@dataclass(frozen=True, eq=False)
class Gru(ResetGateOp):
    """The op KsrGru.

    A recurrent highway network is one without a reset gate whose state goes through several micro-layers in a step. The
    rows of `recurrent_kernel` are then `(depth * U, gates, U)`, those of each micro-layer below those before.

    With kernels of low rank, the kernel (rank, gates, U) reads the middle x A in place of x, and the recurrent kernel
    (recurrent rank, gates, U) the middle h B in place of h. If they share one middle x A + h B, the kernel reads that,
    and the recurrent kernel is (0, gates, U).

    Attributes:
        deep_bias `(deep * 4, U)`: As `bias`, of the micro-layers behind the first; None where there are none.
        reset_threshold `(U,)`: With the reset before the product, like `hidden_threshold`: r * h is held, too, which
            the candidate reads.
        input_factor_kernel `(I, 1, rank)`, recurrent_factor_kernel `(U, 1, recurrent rank or rank)`: A and B; None with
            kernels of full rank.
        middle_start `(rank + recurrent rank,)`: What the sums of the middle start from, int32; None in float32.
    """

    reset_threshold: np.ndarray | None = field(default=None, kw_only=True)
    deep_bias: np.ndarray | None = field(default=None, kw_only=True)
    input_factor_kernel: np.ndarray | None = field(default=None, kw_only=True)
    recurrent_factor_kernel: np.ndarray | None = field(default=None, kw_only=True)
    middle_start: np.ndarray | None = field(default=None, kw_only=True)

    SCHEMA: ClassVar[OpSchema] = SCHEMA

    @classmethod
    def are_usual(cls, options):
        return super().are_usual(options) and options.reset_gate not in _OF_OTHER_UNITS

    @classmethod
    def are_hard(cls, options):
        return super().are_hard(options) and options.reset_gate not in _OF_OTHER_UNITS

    @property
    def slots(self):
        if self.options.reset_gate in _OF_OTHER_UNITS:
            return ("gate", "gate" if self.options.reset_gate == UNCOUPLED else None, "candidate", None)
        return super().slots

    @property
    def gates(self):
        return {UNCOUPLED: ("z", "t", "h"), SHARED: ("h",)}.get(self.options.reset_gate, super().gates)

    @property
    def biases(self):
        return (
            self.bias[None] if self.deep_bias is None else np.stack([self.bias, *np.split(self.deep_bias, self.deep)])
        )

    @property
    def deep(self):
        """How many micro-layers follow the first in a step."""
        return self.options.deep

    @property
    def state_limit(self):
        # What it keeps and what it takes over are no shares of one whole.
        return math.inf if self.options.reset_gate in _OF_OTHER_UNITS else super().state_limit

    @property
    def kernels(self):
        if self.options.rank:
            parts = (self.input_factor_kernel, self.recurrent_factor_kernel, self.kernel, self.recurrent_kernel)
            return tuple(part for part in parts if len(part))
        if self.options.reset_gate != BEFORE:
            return super().kernels
        return (self.kernel, self.recurrent_kernel[:, :2], self.recurrent_kernel[:, 2:])

    @property
    def recurrent_slots(self):
        # With the reset before the product, too, `recurrent_kernel` has all gates.
        return super().recurrent_slots if self.options.reset_gate != BEFORE else list(self.SCHEMA.matrices[1].slots)

    def matrices(self):
        if self.options.rank:
            factors = {
                "input_factor_kernel": (self.input_factor_kernel, (0,)),
                "recurrent_factor_kernel": (self.recurrent_factor_kernel, (0,)),
            }
            own = super().matrices() | factors
            return {name: matrix for name, matrix in own.items() if len(matrix[0])}
        if self.deep:
            first, deep = np.split(self.recurrent_kernel, [self.options.units])
            slots = self.recurrent_slots
            return super().matrices() | {"recurrent_kernel": (first, slots), "deep_kernel": (deep, slots)}
        if self.options.reset_gate != BEFORE:
            return super().matrices()
        # r * h is known only after the products with h: the candidate's part is a matrix of its own.
        return super().matrices() | {
            "recurrent_kernel": (self.recurrent_kernel[:, :2], (0, 1)),
            "candidate_kernel": (self.recurrent_kernel[:, 2:], (0,)),
        }

    @classmethod
    def _read_recurrent_kernel(cls, options, matrix):
        if options.deep:
            return np.concatenate([matrix("recurrent_kernel"), matrix("deep_kernel")])
        if options.reset_gate != BEFORE:
            return super()._read_recurrent_kernel(options, matrix)
        return np.concatenate([matrix("recurrent_kernel"), matrix("candidate_kernel")], axis=1)

    @classmethod
    def _read_factors(cls, options, matrix):
        if not options.rank:
            return {}
        return {name: matrix(name) for name in ("input_factor_kernel", "recurrent_factor_kernel")}

    @classmethod
    def _vectors(cls):
        return [*super()._vectors(), "middle_start"]

    def constants(self, sparse=None):
        constants = super().constants(sparse)
        if "middle_start" in constants:  # each middle is padded to whole blocks
            start, block = constants["middle_start"], self.options.block
            parts = [np.pad(start[part], (0, -len(start[part]) % block)) for part in self._parts]
            constants["middle_start"] = np.concatenate(parts)
        return constants

    @classmethod
    def from_constants(cls, options, arrays, inputs):
        if arrays.get("middle_start") is not None:
            first, second = np.split(arrays["middle_start"], [stride_of(options.rank, options.block)])
            start = np.concatenate([first[: options.rank], second[: options.recurrent_rank]])
            arrays = {**arrays, "middle_start": start}
        return super().from_constants(options, arrays, inputs)

    @property
    def _parts(self):
        """The columns of each middle, as slices."""
        rank, last = self.options.rank, self.options.rank + self.options.recurrent_rank
        return [slice(rank), slice(rank, last)] if last > rank else [slice(rank)]

    def _from_zero_point(self):
        if not self.options.rank:
            return super()._from_zero_point()
        sums = np.zeros_like(self.middle_start)
        shift = self.options.x_zero_point << self.options.x_shift
        sums[: self.options.rank] = self.input_factor_kernel.sum(axis=0, dtype=np.int32)[0] * shift
        return sums

    def balanced(self, largest):
        """A float32 op of low rank that computes the same, with a middle of values `largest` times smaller."""
        rank = self.options.rank
        of_x, of_h = np.split(largest, [rank])
        return replace(
            self,
            input_factor_kernel=self.input_factor_kernel / of_x,
            recurrent_factor_kernel=self.recurrent_factor_kernel / (of_h if len(of_h) else of_x),
            kernel=self.kernel * of_x[:, None, None],
            recurrent_kernel=self.recurrent_kernel * of_h[:, None, None],
        )

    def middle(self, x, h):
        """What the kernels of low rank read, `(.., rank + recurrent rank)`, for inputs and states of a float32 op."""
        of_x, of_h = product(x, self.input_factor_kernel), product(h, self.recurrent_factor_kernel)
        return (
            np.concatenate([of_x, of_h], axis=-1)[..., 0, :]
            if self.options.recurrent_rank
            else (of_x + of_h)[..., 0, :]
        )

    def _middle_int8(self, x, h):
        o = self.options
        sums = self.middle_start.astype(np.int64)
        of_x, of_h = (
            self._from_x(x, self.input_factor_kernel)[0],
            self._from_operand(self._read(h), self.recurrent_factor_kernel)[0],
        )
        sums[self._parts[0]] += of_x
        sums[self._parts[-1]] += of_h
        read = [(sums[part] * getattr(o, f"middle_multiplier_{n}")) >> 32 for n, part in enumerate(self._parts)]
        return saturate(np.concatenate(read), o.middle_bits) << o.middle_shift

    def _accumulators(self, x, state):
        if not self.options.rank:
            return super()._accumulators(x, state)
        if self.is_integer:
            middle = self._middle_int8(x.astype(np.int64) - self.options.x_zero_point, state["h"])
        else:
            middle = self.middle(x, state["h"])
        return self._from_middle(middle, self.bias.astype(middle.dtype))

    def _from_middle(self, middle, acc):
        """Adds the products of the middle, `(rank,)` or of some steps `(T, rank)`, to accumulators."""
        kernels = (self.kernel_slots, self.kernel), (self.recurrent_slots, self.recurrent_kernel)
        for part, (slots, kernel) in zip(self._parts, kernels, strict=False):
            acc[slots] += np.moveaxis(product(middle[..., part], kernel), -2, 0)
        return acc

    def _all_accumulators(self, x, before, after):
        if not self.options.rank:
            return super()._all_accumulators(x, before, after)
        return self._from_middle(self.middle(x, before["h"]), np.repeat(self.bias[:, None], len(x), axis=1))

    def sums(self, state):
        sums = super().sums(state)
        if self.reset_threshold is not None:
            self._add(sums, [3], self._from_reset(state["held_reset"]))
        return sums

    def _read(self, operand):
        return operand_int8(self.options, operand)

    def _from_reset(self, reset):
        """Product of r * h with the candidate's kernel, for a reset before the product: `(1, U)`."""
        kernel = self.recurrent_kernel[:, 2:]
        return self._from_operand(self._read(reset), kernel) if self.is_integer else product(reset, kernel)

    def _candidate_accumulators(self, reset, state):
        """The same with the bias, from the held value of r * h if it is held: `(U,)`."""
        if self.reset_threshold is None:
            return self.bias[3] + self._from_reset(reset)[0]
        self._hold(state, "held_reset", reset, self.reset_threshold, [3], self._from_reset)
        sums = self._slots(state["sums"])[3]
        return sums if self.is_integer else self.bias[3] + sums

    def _step_float32(self, x, state):
        h, acc = state["h"], self._accumulators(x, state)
        gate, from_y = self.recurrent_activation.float32, acc[3]
        z, r = gate(acc[0]), gate(acc[1]) if self.options.reset_gate else 0
        if self.options.reset_gate == BEFORE:
            from_y, r = self._candidate_accumulators(r * h, state), np.float32(1)
        is_other = self.options.reset_gate in _OF_OTHER_UNITS
        h = self._micro_layer(acc, h) if is_other else gru_unit_float32(self, z, r, acc[2], from_y, h)
        for n in range(self.deep):
            h = self._micro_layer(self._deep_accumulators(n, h), h)
        state["h"] = h
        return h

    def _deep_accumulators(self, n, h):
        """Those `(4, U)` of a micro-layer behind the first, or with h `(T, U)` those `(4, T, U)` of some steps."""
        units = self.options.units
        kernel = self.recurrent_kernel[(n + 1) * units : (n + 2) * units]
        products = self._from_operand(self._read(h), kernel) if self.is_integer else product(h, kernel)
        acc = self.biases[n + 1].astype(products.dtype)
        if h.ndim == 2:
            acc, products = np.repeat(acc[:, None], len(h), axis=1), np.moveaxis(products, 1, 0)
        acc[self.recurrent_slots] += products
        return self._scaled(acc) if self.is_integer else acc

    def _micro_layer(self, acc, h):
        """The state, without a reset gate, from scaled accumulators and the state before."""
        if self.options.reset_gate == SHARED:
            return self._fast_unit_int8(acc, h) if self.is_integer else self._fast_unit_float32(acc, h)
        if self.is_integer:
            z, t = self.gate(0, acc[0]), self.gate(1, acc[1])
            if self.options.reset_gate != UNCOUPLED:
                return gru_unit_int8(self, z, 0, acc[2], acc[3], h)
            shift, g = 15 - self.options.gate_bits, self.candidate(pre_activation(self.options, 2, acc[2]))
            return saturate((z * h + t * g + (1 << (shift - 1))) >> shift, 16)
        gate, g = self.recurrent_activation.float32, self.activation.float32(acc[2])
        z = gate(acc[0])
        return z * h + (gate(acc[1]) if self.options.reset_gate == UNCOUPLED else np.float32(1) - z) * g

    def _step_int8(self, x, state):
        o, h, acc = self.options, state["h"], self._scaled(self._accumulators(x, state))
        z, r, from_y = self.gate(0, acc[0]), self.gate(1, acc[1]) if o.reset_gate else 0, acc[3]
        if o.reset_gate == BEFORE:
            from_y = self._scaled(self._candidate_accumulators(self.times(r, h), state), 3)
            r = ONE >> o.gate_bits
        is_other = o.reset_gate in _OF_OTHER_UNITS
        h = self._micro_layer(acc, h) if is_other else gru_unit_int8(self, z, r, acc[2], from_y, h)
        for n in range(self.deep):
            h = self._micro_layer(self._deep_accumulators(n, h), h)
        state["h"] = h
        return output_int8(o, h)

    def _fast_unit_float32(self, acc, h):
        """z * h + (zeta * (1 - z) + nu) * g, where z reads the first accumulators and g these and the third."""
        zeta, nu = (np.float32(word) * np.float32(2.0**-30) for word in (self.options.zeta, self.options.nu))
        z, g = self.recurrent_activation.float32(acc[0]), self.activation.float32(acc[0] + acc[2])
        return z * h + (zeta * (np.float32(1) - z) + nu) * g

    def _fast_unit_int8(self, acc, h):
        """Likewise."""
        o = self.options
        shift, half = 15 - o.gate_bits, 1 << (14 - o.gate_bits)
        z = self.gate(0, acc[0])
        g = self.candidate(saturate(pre_activation(o, 0, acc[0]) + pre_activation(o, 2, acc[2]), 31))
        share = (((o.zeta >> 15) * ((ONE >> o.gate_bits) - z) + (1 << 14)) >> 15) + (o.nu >> (15 + o.gate_bits))
        return saturate(((z * h + half) >> shift) + ((saturate(share, 17) * g + half) >> shift), 16)

    def _activated(self, acc, before, after):
        if self.deep or self.options.reset_gate in _OF_OTHER_UNITS:
            return self._all_activated(acc, before["h"])
        z, r = self.recurrent_activation.float32(acc[:2])
        r = r if self.options.reset_gate else np.zeros_like(r)
        from_y = r * acc[3]
        if self.options.reset_gate == BEFORE:
            read = after["held_reset"] if "held_reset" in after else r * before["h"]
            from_y = self.bias[3] + self._from_reset(read)[:, 0]
        return [z, r], [self.activation.float32(acc[2] + from_y), after["h"]]

    def _all_activated(self, acc, h):
        """Likewise, of all micro-layers."""
        gates, candidates = [], []
        used = [0, 1] if self.options.reset_gate == UNCOUPLED else [0]
        for of_layer, behind in self._micro_layers(acc, h):
            gates.append(self.recurrent_activation.float32(of_layer[used]))
            shared = of_layer[0] if self.options.reset_gate == SHARED else 0
            candidates += [self.activation.float32(of_layer[2] + shared), behind]
        return gates, candidates

    def largest_between(self, x, before, after):
        """The largest magnitude of the state behind any micro-layer, of a float32 op as in `largest`."""
        states = [h for _, h in self._micro_layers(self._all_accumulators(x, before, after), before["h"])]
        return float(np.abs(states).max())

    def _micro_layers(self, acc, h):
        """The accumulators of each, from those of the first, and the state behind it."""
        for n in range(self.deep + 1):
            acc = acc if n == 0 else self._deep_accumulators(n - 1, h)
            h = self._micro_layer(acc, h)
            yield acc, h
