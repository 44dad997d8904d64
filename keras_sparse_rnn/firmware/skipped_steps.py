"""Whether nothing at all is to be computed at the steps that a FrameGate leaves out."""

from keras_sparse_rnn.ops import ALL_OPS, OPS
from keras_sparse_rnn.ops.frame_gate import FrameGate


def skipping_gate(model):
    """The `Operator` of a FrameGate, if all that the model gives or keeps comes from recurrent ops with its mask;
    None where there is no gate, several, or something else that goes on."""
    gates = [op for op in model.operators if op.name == FrameGate.SCHEMA.name]
    if len(gates) != 1:
        return None
    [gate] = gates
    held = set()  # tensors that do not change at a step that is left out
    for op in model.operators:
        if op.name in OPS and mask_of(op) != gate.outputs[0]:
            return None
        read = [i for i in op.inputs if i >= 0 and model.tensors[i].data is None]
        if op.name in OPS or (op is not gate and read and held.issuperset(read)):
            held.update(op.outputs)
    return gate if held.issuperset(model.output_indices) else None


def mask_of(op):
    """Number of the tensor that is the mask of a recurrent op; None for other ops, and without one."""
    if op.name not in OPS:
        return None
    return ALL_OPS[op.name].SCHEMA.named([None if i < 0 else i for i in op.inputs]).get("mask")


def before_gate(model, gate):
    """A model's ops: those whose results the gate reads, with it; and all others."""
    needed, before = set(gate.inputs), [gate]
    for op in reversed(model.operators[: model.operators.index(gate)]):
        if needed & set(op.outputs):
            needed.update(op.inputs)
            before.insert(0, op)
    return before, [op for op in model.operators if op not in before]
