"""Values that are held until they change: thresholds in integers, rates of changes, and their comparison."""

import numpy as np

THRESHOLD_TYPES = {8: np.uint8, 16: np.uint16}  # of an input's threshold, by the bits of the input


def counts(threshold, scale, dtype):
    """Returns thresholds in integers, rounded down: the distance of two integers exceeds `threshold / scale` exactly if
    it exceeds the rounded value."""
    return np.minimum(np.floor(threshold / scale), np.iinfo(dtype).max).astype(dtype)


def change_rate(held):
    """Returns the share of held values, `(samples, steps, channels)`, that change in a step."""
    return float(np.mean(np.diff(held, axis=1, prepend=0) != 0))


def compare_held(op, compared, held):
    """Adds held values to the results of `LayerConverter.compare` for the other states.

    In floats they must be equal, in integers equal within rounding. A larger distance means that the value was sent in
    one and not in the other, a flip.

    Args:
        op: The `RecurrentOp`.
        compared: `(error, flips, margin)` of the other states.
        held: `(ours, keras, near)` for each held state; `near` is the distance that rounding may cause in integers,
            such as one count.

    Returns:
        A tuple `(error, flips, margin)`.
    """
    error, flips, margin = compared
    distances = [np.abs(ours - keras) for ours, keras, _ in held]
    if not op.is_integer:
        return np.concatenate([error, *distances]), flips, margin
    further = [distance > near for distance, (_, _, near) in zip(distances, held, strict=True)]
    parts = [*([] if flips is None else [flips]), *further]
    return error, np.concatenate(parts), np.zeros(sum(map(len, parts)))
