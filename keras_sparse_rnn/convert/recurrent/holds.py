"""What is held until it has changed: thresholds in integers, rates of changes, and how they are compared."""

import numpy as np

THRESHOLD_TYPES = {8: np.uint8, 16: np.uint16}  # of an input's threshold, by the bits of the input


def counts(threshold, scale, dtype):
    """Thresholds in integers: of two integers one is further off by more than `threshold / scale` exactly if it is by
    more than that rounded down."""
    return np.minimum(np.floor(threshold / scale), np.iinfo(dtype).max).astype(dtype)


def change_rate(held):
    """Share of what is held, `(samples, steps, channels)`, that changes in a step."""
    return float(np.mean(np.diff(held, axis=1, prepend=0) != 0))


def compare_held(op, compared, held):
    """Adds what is held to what `LayerConverter.compare` found of the rest.

    In floats it must be equal, in integers as near as rounding: what is further off was sent in one and not in the
    other, a flip.

    Args:
        op: The `RecurrentOp`.
        compared: `(error, flips, margin)` of the other states.
        held: For each state that is held `(ours, keras, near)`: how far apart rounding may bring them in integers, such
            as the worth of one count.

    Returns:
        `(error, flips, margin)`.
    """
    error, flips, margin = compared
    distances = [np.abs(ours - keras) for ours, keras, _ in held]
    if not op.is_integer:
        return np.concatenate([error, *distances]), flips, margin
    further = [distance > near for distance, (_, _, near) in zip(distances, held, strict=True)]
    parts = [*([] if flips is None else [flips]), *further]
    return error, np.concatenate(parts), np.zeros(sum(map(len, parts)))
