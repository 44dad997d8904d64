"""Likely causes of a large error of an integer model, as the representative data show them, and their remedies."""

import numpy as np

from keras_sparse_rnn.convert.quantize import within_percentile

RANGE_RATIO = 30  # of the range that a scale covers to that of a channel, which then has 8 of the 255 steps of int8
OUTLIER_RATIO = 5  # of the range that a scale covers to that of the usual values
USUAL = 99.9  # from this percentile on either side a value is an outlier
FEW_SAMPLES = 20
FEW_STEPS = 8  # of its integers in the standard deviation of a tensor; rounding alone is then 4 % of it
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
            causes += _large_samples(name, within_percentile(values, options.percentile), options)
    for kind, named in (("input", inputs), ("output", outputs)):
        for name, values in named.items():
            if np.issubdtype(values.dtype, np.floating):
                causes += _outliers(f"{kind} '{name}'", within_percentile(values, options.percentile))
    samples = len(next(iter(inputs.values())))
    if samples < FEW_SAMPLES:
        causes.append(f"representative_data hold only {samples} samples; give about a hundred")
    return causes


def few_steps(tensors, options):
    """Returns the cause of a large error that lies inside the model: a tensor that varies by few steps of its integers.

    Args:
        tensors: A list of `(description, values (samples, ..., channels), Scale or None)`.
        options: The `ConvertOptions`.

    Returns:
        A list with one sentence about the tensor that varies by the fewest steps, or empty if all vary by many.
    """
    varies = [(deviation(values) / scale.scale, what) for what, values, scale in tensors if scale is not None]
    steps, what = min(varies, default=(FEW_STEPS, ""))
    if steps >= FEW_STEPS:
        return []
    return [f"{what} varies by only {steps:.2g} steps of its integers{finer_integers(options)}"]


def finer_integers(options):
    """Returns advice on the next finer number format, to append to a cause; empty if there is none."""
    if options.number_format.activation_bits == 8:
        return ": weights='int8x16' may come closer"
    return "" if options.scales == "output" else ": scales='output' may come closer"


def deviation(values):
    """Returns the standard deviation of values `(..., channels)`, with each channel centred on its own mean."""
    channels = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(-1, 1)
    return float(np.sqrt(channels.astype(np.float64).var(axis=0).mean()))


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
    advice = "take input_scales='channel', or standardise the channels"
    advice += "" if options.number_format.activation_bits == 16 else ", or take weights='int8x16'"
    return [
        f"channels {named} of input '{name}' span less than 1/{ratio} of the range that its one scale covers "
        f"(channel {own.argmax()} spans {own.max():.3g}, channel {narrow[0]} {own[narrow[0]]:.3g}): {advice}"
    ]


def _large_samples(name, values, options):
    spans = np.ptp(values.reshape(len(values), -1), axis=1)
    ratio = RANGE_RATIO * 2 ** (options.number_format.activation_bits - 8)
    large = np.flatnonzero(spans > ratio * np.median(spans))
    if not len(large) or not np.median(spans):
        return []
    named = ", ".join(map(str, large[:_MOST_NAMED])) + (" and more" if len(large) > _MOST_NAMED else "")
    return [
        f"samples {named} of input '{name}' in representative_data span over {ratio} times what most do "
        f"(sample {spans.argmax()} spans {spans.max():.3g}, the median {np.median(spans):.3g}): leave them out if they "
        "are faulty"
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
