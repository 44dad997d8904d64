"""Determines whether nothing has to be computed at the steps that a FrameGate skips."""

from keras_sparse_rnn.ops import ALL_OPS, OPS
from keras_sparse_rnn.ops.frame_gate import FrameGate


def skipping_gate(model):
    """Returns the `Operator` of a FrameGate if all outputs and states of the model come from recurrent ops with its
    mask. None if there is no gate or several, or if other outputs or states change at skipped steps."""
    gates = [op for op in model.operators if op.name == FrameGate.SCHEMA.name]
    if len(gates) != 1:
        return None
    [gate] = gates
    held = set()  # tensors that do not change at a skipped step
    for op in model.operators:
        if op.name in OPS and mask_of(op) != gate.outputs[0]:
            return None
        read = [i for i in op.inputs if i >= 0 and model.tensors[i].data is None]
        if op.name in OPS or (op is not gate and read and held.issuperset(read)):
            held.update(op.outputs)
    return gate if held.issuperset(model.output_indices) else None


def mask_of(op):
    """Returns the number of the tensor that is the mask of a recurrent op; None for other ops, and without a mask."""
    if op.name not in OPS:
        return None
    return ALL_OPS[op.name].SCHEMA.named([None if i < 0 else i for i in op.inputs]).get("mask")


def before_gate(model, gate):
    """Splits a model's ops: the gate with the ops whose results it reads, and all others."""
    needed, before = set(gate.inputs), [gate]
    for op in reversed(model.operators[: model.operators.index(gate)]):
        if needed & set(op.outputs):
            needed.update(op.inputs)
            before.insert(0, op)
    return before, [op for op in model.operators if op not in before]
