"""KsrGru: the GRU, its reset gate after the recurrent product, before it, or left out; the recurrent highway
network; and FastGRNN (`tflite/include/ksr_gru.h`)."""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.activations import ONE
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
from keras_sparse_rnn.ops.schema import OpSchema, Word, constant, matrix, state

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

    Attributes:
        deep_bias `(deep * 4, U)`: As `bias`, of the micro-layers behind the first; None where there are none.
        reset_threshold `(U,)`: With the reset before the product, like `hidden_threshold`: r * h is held, too, which
            the candidate reads.
    """

    reset_threshold: np.ndarray | None = field(default=None, kw_only=True)
    deep_bias: np.ndarray | None = field(default=None, kw_only=True)

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
        if self.options.reset_gate != BEFORE:
            return super().kernels
        return (self.kernel, self.recurrent_kernel[:, :2], self.recurrent_kernel[:, 2:])

    @property
    def recurrent_slots(self):
        # With the reset before the product, too, `recurrent_kernel` has all gates.
        return super().recurrent_slots if self.options.reset_gate != BEFORE else list(self.SCHEMA.matrices[1].slots)

    def matrices(self):
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
