"""KsrOnLstm: the ordered-neurons LSTM (`tflite/include/ksr_on_lstm.h`)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_sparse_rnn.ops.activations import ONE, exponential_fall
from keras_sparse_rnn.ops.gates import pre_activation
from keras_sparse_rnn.ops.lstm import CELL_BITS, STATE_BITS, C, Lstm
from keras_sparse_rnn.ops.recurrent_schema import H, recurrent_schema
from keras_sparse_rnn.ops.schema import OpSchema, Word

_SUM_BITS = 16  # of the divisor of a cumax, so that the dividend fits 32 bits

SCHEMA = recurrent_schema(
    *("KsrOnLstm", "the ordered-neurons LSTM", (0, 1, 2, 3), (0, 1, 2, 3)),
    words=[
        CELL_BITS,
        Word.every("chunk_size", "units of each entry of a master gate; the last may have fewer", 1, 65535, usual=1),
    ],
    inputs=[H, C],
    changes=[STATE_BITS],
)


@dataclass(frozen=True, eq=False)
class OnLstm(Lstm):
    """The op KsrOnLstm. Gates i, f, c, o.

    The last dimension of kernels and bias has, behind the units, columns for the master gates of `chunks` entries:
    half of those of f~ in the slot of i, the other half in that of f, and i~ likewise in the slots of c and o.
    """

    SCHEMA: ClassVar[OpSchema] = SCHEMA

    @classmethod
    def are_usual(cls, options):
        return False

    @property
    def chunks(self):
        """Entries of a master gate."""
        return -(-self.options.units // self.options.chunk_size)

    def _master_accumulators(self, acc):
        """Those `(2, chunks)` of f~ and i~."""
        return acc[:, self.options.units :].reshape(2, -1)[:, : self.chunks]

    def _of_units(self, master):
        """Entries of a master gate, unit by unit."""
        return np.repeat(master, self.options.chunk_size)[: self.options.units]

    def _opened_float32(self, acc, i, f):
        a = self._master_accumulators(acc)
        e = np.cumsum(np.exp(a - a.max(axis=1, keepdims=True)), axis=1, dtype=np.float32)
        open_f, shut_i = (self._of_units(sums / sums[-1]) for sums in e)
        open_i = np.float32(1) - shut_i
        both = open_f * open_i
        return i * both + (open_i - both), f * both + (open_f - both)

    def _opened_int8(self, acc, i, f):
        o = self.options
        of_slots = np.stack([pre_activation(o, slot, a) for slot, a in enumerate(acc)])
        open_f, shut_i = (self._of_units(_cumax(a, o.fraction - 7)) for a in self._master_accumulators(of_slots))
        open_i = ONE - shut_i
        both = (open_f * open_i) >> 15

        def opened(gate, master):
            return ((gate * both + (1 << 14)) >> 15) + ((master - both + (1 << o.gate_bits >> 1)) >> o.gate_bits)

        return opened(i, open_i), opened(f, open_f)


def _cumax(a, more):
    """The sums of softmax up to each entry, Q15, of values in Q(7 + more); the last is 1."""
    sums = np.cumsum(exponential_fall(a.max() - a, more))
    sums >>= max(int(sums[-1]).bit_length() - _SUM_BITS, 0)
    return ((sums << 15) + (sums[-1] >> 1)) // sums[-1]
