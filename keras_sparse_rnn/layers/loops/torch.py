"""The loop over time in PyTorch."""

import torch


def scan(step, states, sequences, emits, reverse=False):
    steps = list(zip(*(torch.unbind(sequence) for sequence in sequences), strict=True))
    emitted = []
    states = tuple(states)
    for inputs in reversed(steps) if reverse else steps:
        states, outputs = step(states, inputs)
        emitted.append(outputs)
    if reverse:
        emitted.reverse()
    return states, tuple(torch.stack([outputs[i] for outputs in emitted]) for i in range(emits))


def with_gradient(forward, backward, arrays):
    return _HandWritten.apply(forward, backward, *arrays)


class _HandWritten(torch.autograd.Function):
    @staticmethod
    def forward(ctx, forward, backward, *arrays):
        outputs, residuals = forward(*arrays)
        ctx.backward_pass = backward
        ctx.save_for_backward(*residuals)
        return outputs

    @staticmethod
    def backward(ctx, *upstream):
        return None, None, *ctx.backward_pass(ctx.saved_tensors, upstream)
