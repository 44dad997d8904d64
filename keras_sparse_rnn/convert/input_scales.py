"""A scale for each channel of an input: inputs are divided by channel, and the weights that read them multiplied."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_sparse_rnn.convert.channel_readers import ChannelReaders
from keras_sparse_rnn.convert.quantize import within_percentile

_SHARES = (0.5, 0.75, 1.0, 0.25, 0.0)  # of the range of a channel that is divided out of it
_LEVELS = sorted(range(-6, 7), key=abs)  # powers of two, the range of divided channels over that beside them


@dataclass(frozen=True, eq=False)
class InputScales:
    """A model that gives for divided inputs what another model gives for the inputs.

    Attributes:
        model: The model.
        divisors: For each input a float32 array, one positive value for each channel (index of the last axis); None for
            an input that is not divided.
    """

    model: keras.Model
    divisors: list

    @classmethod
    def by_channel(cls, model, cut, seen, options):
        """Chooses divisors so that rounding inputs and weights costs least.

        Large channels are divided by more, and their weights multiplied by as much, which takes range from the inputs
        and gives it to the weights: a channel of the largest magnitude X, read by weights up to W, is divided by a
        level times X^share / W^(1 - share) (SmoothQuant, Xiao et al., 2023, arXiv:2211.10438). Share and level of each
        input are those of the smallest expected error of the products.

        Args:
            model: A built Sequential or Functional model. It is not changed.
            cut: Its `Plan`.
            seen: The `Observations` of it.
            options: The `ConvertOptions`.

        Raises:
            ValueError: No input holds floats, or a layer that one enters does not multiply it by weights alone; the
                message names it.
        """
        sizes = [
            array.shape[-1] if np.issubdtype(array.dtype, np.floating) and array.ndim > 2 else 0 for array in seen.data
        ]
        if not any(sizes):
            raise ValueError(
                "input_scales='channel': no input of the model holds floats with channels. Take input_scales='tensor'."
            )
        readers = ChannelReaders(model, cut.input_names, sizes)
        values = [array.reshape(-1, size) for array, size in zip(seen.data, sizes, strict=True) if size]
        ranges = _Ranges.joined([_Ranges.of(array, options.percentile) for array in values])
        beside = {call.layer.layer.name: part.x for call, part in zip(cut.calls, seen.calls, strict=True)}
        products = [_Products.of(reader, ranges, beside, options.percentile) for reader in readers.matrices]
        divisors, first = np.ones(sum(sizes)), 0
        for size in sizes:
            if size:
                divisors = _best(divisors, slice(first, first + size), ranges, products, options.number_format)
            first += size
        divisors = divisors.astype(np.float32)
        parts = np.split(divisors, np.cumsum(sizes)[:-1])
        return cls(
            readers.multiplied(divisors), [part if size else None for part, size in zip(parts, sizes, strict=True)]
        )

    def divide(self, data):
        """Returns inputs, a list of arrays, as `model` takes them."""
        return [array if by is None else array / by for array, by in zip(data, self.divisors, strict=True)]


@dataclass(frozen=True, eq=False)
class _Ranges:
    """The smallest and the largest value of channels, and their mean squares."""

    low: np.ndarray
    high: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, values, percentile):
        columns = [within_percentile(column, percentile) for column in values.T]
        low, high = (np.array([end(column) for column in columns], np.float64) for end in (np.min, np.max))
        return cls(low, high, np.square(values, dtype=np.float64).mean(axis=0))

    @classmethod
    def joined(cls, parts):
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("low", "high", "power")))

    @property
    def largest(self):
        return np.maximum(-self.low, self.high)

    def of_channels(self, channels):
        return _Ranges(self.low[channels], self.high[channels], self.power[channels])


@dataclass(frozen=True, eq=False)
class _Products:
    """The products of a layer that reads inputs.

    Attributes:
        channels: For each value that it reads, the number of the channel; -1 for what is no input.
        kernel: Its weights, `(values, outputs)`.
        ranges: The `_Ranges` of what it reads.
    """

    channels: np.ndarray
    kernel: np.ndarray
    ranges: _Ranges

    @classmethod
    def of(cls, reader, ranges, beside, percentile):
        name, channels, kernel = reader
        own = ranges.of_channels(channels)
        other = channels < 0
        if other.any() and name in beside and beside[name].shape[-1] == len(channels):
            seen = _Ranges.of(beside[name].reshape(-1, len(channels))[:, other], percentile)
            for part in ("low", "high", "power"):
                getattr(own, part)[other] = getattr(seen, part)
        elif other.any():  # not known: as if there were none
            kept = ~other
            return cls(channels[kept], kernel[kept], own.of_channels(kept))
        return cls(channels, kernel, own)

    def error(self, divisors, number_format):
        """Returns the expected square of what rounding changes the sums by, over their mean square."""
        by = np.where(self.channels < 0, 1.0, divisors[self.channels])
        kernel = self.kernel * by[:, None]
        high, low = (max((end / by).max(), 0.0) for end in (self.ranges.high, -self.ranges.low))
        of_inputs = ((high + low) / (2**number_format.activation_bits - 1)) ** 2 * np.square(kernel).sum()
        scales = np.abs(kernel).max(axis=0) / number_format.most_counts
        of_weights = (self.ranges.power / by**2).sum() * np.square(scales).sum()
        sums = (self.ranges.power * np.square(self.kernel).sum(axis=1)).sum()
        return (of_inputs + of_weights) / 12 / sums if sums else 0.0

    def others(self):
        """The largest magnitude that it reads beside inputs; 0 if there is none."""
        return self.ranges.largest[self.channels < 0].max(initial=0.0)


def _best(divisors, where, ranges, products, number_format):
    """Returns the divisors with those of one input, a slice, replaced by the best."""
    largest, weights = ranges.largest[where], np.zeros(len(divisors))
    for part in products:
        known = part.channels >= 0
        np.maximum.at(weights, part.channels[known], np.abs(part.kernel[known]).max(axis=1))
    weights = weights[where]
    for values in (largest, weights):  # channels of zeros are like the largest one
        values[values == 0] = values.max() or 1.0
    level = np.exp(np.mean([np.log(part.others()) for part in products if part.others()] or [0.0]))

    def tried():
        yield divisors
        for share in _SHARES:
            shape = largest**share / weights ** (1 - share)
            for power in _LEVELS:
                made = divisors.copy()
                made[where] = shape * (largest / shape).max() / (level * 2.0**power)
                yield made

    return min(tried(), key=lambda made: sum(part.error(made, number_format) for part in products))
