"""Size and cost of a model, per layer and per gate."""

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_sparse_rnn.profiling import costs
from keras_sparse_rnn.profiling.macs import check_valid, dense_macs, recurrent_macs
from keras_sparse_rnn.profiling.packed import packed_bytes
from keras_sparse_rnn.profiling.parts import Part, find_parts
from keras_sparse_rnn.profiling.table import GateProfile, LayerProfile, ModelProfile
from keras_sparse_rnn.profiling.watch import Seen, watch, watch_shapes
from keras_sparse_rnn.sparsity import Blocks
from keras_sparse_rnn.sparsity.blocks import check_block_shape
from keras_sparse_rnn.typing import Arrays, BlockShape, LayerSelection


def profile(
    model: keras.Model,
    data: Arrays | None = None,
    valid: ArrayLike | None = None,
    block_shape: BlockShape = (1, 4),
    layers: LayerSelection = lambda layer: True,
) -> ModelProfile:
    """Measures the size and cost of a model.

    MACs of all layers of Keras and of this package are counted in closed form. For attention, this includes the
    products of queries, keys and values. Element-wise operations, such as normalizations and activations, are not
    counted. If the products of a layer are not known, its MACs and the sum are None, and `not_counted` names the layer.

    Args:
        model: Any built Keras model, including subclassed models. Nested layers are counted too.
        data: Inputs of the model, (samples, time, ...), as for `model.predict`. The model runs on them, from zero
            states, to count events and effective MACs; see `count_macs`. Without data, these are None.
        valid: Boolean array (samples, time), True for the steps to count; by default all.
        block_shape: Pair (rows, cols), the shape of the blocks of zeros to count.
        layers: The layers to show, as in `sparsity.find_kernels`; by default all. None selects the recurrent layers.

    Returns:
        A `ModelProfile`.

    Raises:
        ValueError: If the model is not built, `data` have no samples or hold values that are not finite, `data`,
            `block_shape` or `valid` do not fit, or something in `layers` selects nothing.

    Example:

    >>> print(ksr.profile(model, x_test))
    """
    block_shape = check_block_shape(block_shape)
    if data is None and valid is not None:
        raise ValueError("`valid` says which steps of `data` count; given: `valid` without `data`.")
    parts, opaque = find_parts(model, layers)
    valid = None if data is None else check_valid(valid, data)
    seen = watch_shapes(model, parts) if data is None else watch(model, parts, data, valid)
    profiles = [_profile_layer(part, (seen or {}).get(id(part.layer)), data is not None, block_shape) for part in parts]
    reasons = [part.unknown for part in parts if part.unknown]
    reasons += [of_part.unknown for of_part in (seen or {}).values() if of_part.unknown]
    if seen is None:
        reasons.append("the shape of the inputs is not fixed and no data are given")
    elif data is None and any(layer.effective_macs is None for layer in profiles):
        reasons.append("no data given")
    return ModelProfile(
        name=model.name,
        parameters=model.count_params(),
        block_shape=block_shape,
        layers=tuple(profiles),
        not_counted="; ".join(reasons) or None,
        not_seen=tuple(opaque),
    )


def summary(
    model: keras.Model,
    data: Arrays | None = None,
    valid: ArrayLike | None = None,
    block_shape: BlockShape = (1, 4),
    layers: LayerSelection = lambda layer: True,
) -> None:
    """Prints the table of `profile`. Arguments and errors are those of `profile`."""
    print(profile(model, data, valid, block_shape, layers))


def _profile_layer(part: Part, seen: Seen | None, with_data: bool, block_shape: BlockShape) -> LayerProfile:
    values = [keras.ops.convert_to_numpy(weights) != 0 for weights in part.matrices.values()]
    packs = part.gates is not None or isinstance(part.layer, (keras.layers.Dense, keras.layers.Embedding))
    is_matrix = packs and all(value.ndim == 2 for value in values)
    gates = list(part.gates.values()) if part.gates else [("",)] * len(values)
    size = sum(value.size for value in values)
    dense: float | None = None
    effective: float | None = None
    macs = None
    if part.unknown is None and (seen is None or seen.unknown is None):
        dense = costs.macs(part.layer, [value.size for value in values])
        if costs.is_product(part.layer):
            dense = None if seen is None else dense + seen.products / max(1, _calls(part, seen))
        effective = dense
        if part.gates is not None:
            macs = recurrent_macs(part, seen) if with_data and seen else None
            effective = macs.effective if macs else None
        elif isinstance(part.layer, keras.layers.Dense):
            effective = dense_macs(part, seen) if with_data and seen else None
    acted = seen.acted if seen is not None else None
    return LayerProfile(
        name=part.name,
        kind=part.kind,
        weights=size,
        nonzero=int(sum(value.sum() for value in values)),
        zero_blocks=_zero_blocks(values, list(map(len, gates)), block_shape) if is_matrix and values else None,
        packed_bytes=packed_bytes(part),
        events=macs.activity if macs else None,
        skips=part.skips,
        units=None if acted is None else acted.size,
        silent_units=None if acted is None else int((~acted).sum()),
        calls=_calls(part, seen),
        dense_macs=dense,
        effective_macs=effective,
        gates=_profile_gates(part, values, macs, block_shape) if part.gates else (),
    )


def _calls(part, seen):
    if seen is None or seen.unknown or part.unknown:
        return None
    return seen.calls if part.matrices else 1.0


def _profile_gates(part, values, macs, block_shape):
    names = next(iter(part.gates.values()))
    if any(gates != names for gates in part.gates.values()):
        names = ("all",)
    gates = []
    for n, name in enumerate(names):
        pieces = [np.split(value, len(names), axis=1)[n] for value in values]
        gates.append(
            GateProfile(
                name=name,
                weights=sum(piece.size for piece in pieces),
                nonzero=int(sum(piece.sum() for piece in pieces)),
                zero_blocks=_zero_blocks(pieces, [1] * len(pieces), block_shape),
                effective_macs=macs.gates[n] if macs else None,
            )
        )
    return tuple(gates)


def _zero_blocks(values, gates, block_shape):
    zeros = size = 0
    for value, count in zip(values, gates, strict=True):
        if value.shape[0] < block_shape[0] or value.shape[1] // count < block_shape[1]:
            return None
        blocks = Blocks(value.shape, count, block_shape)
        zeros += int(blocks.sizes[~blocks.nonzero(value)].sum())
        size += value.size
    return zeros / size
