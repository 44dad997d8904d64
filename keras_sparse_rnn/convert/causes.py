"""Likely causes of a large error of an integer model, as the representative data show them, and their remedies."""

import numpy as np

from keras_sparse_rnn.convert.quantize import within_percentile

RANGE_RATIO = 30  # of the range that a scale covers to that of a channel, which then has 8 of the 255 steps of int8
OUTLIER_RATIO = 5  # of the range that a scale covers to that of the usual values
USUAL = 99.9  # from this percentile on either side a value is an outlier
FEW_SAMPLES = 20
_MOST_NAMED = 8


def likely_causes(inputs, outputs, options):
    """Finds the likely causes of a large error of an integer model.

    Args:
        inputs, outputs: Inputs and outputs of the Keras model on the representative data: dicts of arrays `(samples,
            chunks, ...)`.
        options: The `ConvertOptions`.

    Returns:
        A list of sentences without a full stop, the likeliest first; empty if the data look sound.
    """
    causes = []
    for name, values in inputs.items():
        if np.issubdtype(values.dtype, np.floating) and values.ndim > 2:
            usual = within_percentile(values, min(options.percentile, USUAL))
            causes += _narrow_channels(name, usual, options)
    for kind, named in (("input", inputs), ("output", outputs)):
        for name, values in named.items():
            if np.issubdtype(values.dtype, np.floating):
                causes += _outliers(f"{kind} '{name}'", within_percentile(values, options.percentile))
    samples = len(next(iter(inputs.values())))
    if samples < FEW_SAMPLES:
        causes.append(f"representative_data hold {samples} samples only; give about a hundred")
    return causes


def _narrow_channels(name, values, options):
    channels = values.reshape(-1, values.shape[-1])
    own = np.ptp(channels, axis=0)
    # An int16 step is 256 times as fine.
    ratio = RANGE_RATIO * 2 ** (options.number_format.activation_bits - 8)
    narrow = np.flatnonzero((own > 0) & (own * ratio < _covered(values.min(), values.max())))
    if not len(narrow):
        return []
    named = ", ".join(map(str, narrow[:_MOST_NAMED])) + (
        f" and {len(narrow) - _MOST_NAMED} more" if len(narrow) > _MOST_NAMED else ""
    )
    advice = "standardise the channels"
    advice += "" if options.number_format.activation_bits == 16 else ", or take weights='int8x16'"
    return [
        f"channels {named} of input '{name}' span less than 1/{ratio} of the range that its one scale covers "
        f"(channel {own.argmax()} spans {own.max():.3g}, channel {narrow[0]} {own[narrow[0]]:.3g}): {advice}"
    ]


def _outliers(what, values):
    covered = _covered(values.min(), values.max())
    usual = _covered(*np.percentile(values, [100 - USUAL, USUAL]))
    if not 0 < usual * OUTLIER_RATIO < covered:
        return []
    return [f"the range of {what} is {covered / usual:.0f} times that of 99.8 % of its values: take percentile=99.9"]


def _covered(low, high):
    """The range of a scale that also covers 0."""
    return max(float(high), 0.0) - min(float(low), 0.0)
