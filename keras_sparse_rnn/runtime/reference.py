"""The definition of our ops, run: what every kernel is held to."""

from keras_sparse_rnn.runtime.graph import GraphEngine
from keras_sparse_rnn.runtime.ops import OPS


class ReferenceEngine(GraphEngine):
    """Every op in NumPy; ours as `keras_sparse_rnn.runtime.ops` defines them."""

    def __init__(self, model):
        super().__init__(model)
        self._ops = {}
        for op in self.custom_operators:
            kind = OPS[op.name]
            inputs = op.inputs[1 : 1 + len(kind.CONSTANTS)]
            constants = [None if i < 0 else model.tensors[i].data for i in inputs]
            self._ops[op] = kind.from_constants(kind.OPTIONS.from_bytes(op.options), constants)

    def run_custom(self, op, inputs):
        run = self._ops[op]
        outputs = run(inputs[0][0])
        return [outputs[None] if run.options.return_sequences else outputs[-1:]]
