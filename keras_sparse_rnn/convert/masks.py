"""Keras's masks as tensors of the graph: which steps of each tensor are skipped, while a model is walked."""

import inspect
import numbers
from dataclasses import dataclass

import keras

from keras_sparse_rnn.convert.frame_gates import GateCall, MadeSteps
from keras_sparse_rnn.layers import FrameGate


@dataclass(frozen=True, eq=False)
class MaskCall:
    """The start of a mask, between symbolic tensors: `y`, (batch, steps), is False where `x`, the index of a word or
    all features of a step, equals `value`."""

    x: object
    y: object
    value: float


class Masks:
    """The masks of the tensors that a walk has met.

    Args:
        calls, gates: Lists to which each `MaskCall` and `GateCall` is added.
        apply: Function `apply(function, *args)` that calls an operation of the rest.
        begin: Function `begin(tensor)` that records a tensor that the rest takes.
        keeps_states: Whether gates continue from call to call.
    """

    def __init__(self, calls, gates, apply, begin, keeps_states):
        self._calls, self._gates, self._apply, self._begin = calls, gates, apply, begin
        self._keeps_states = keeps_states
        self._differs = {}  # id of what an operation makes of x -> x, and the value that it is compared with
        self._masks = {}  # id of a tensor -> which of its steps are not left out
        self._kept = []  # an id names a tensor only while the tensor lives

    def begun(self, operation, args):
        """The mask that Keras itself begins in a graph, behind an Embedding or a Masking; None for all else."""
        kind = type(operation).__name__
        if kind == "Any" and id(args[0]) in self._differs and operation.axis in (-1, (-1,), [-1]):
            return self.mask_call(*self._differs[id(args[0])])
        if kind != "NotEqual" or len(args) != 2 or not isinstance(args[1], numbers.Real):
            return None
        if args[0].dtype == "int32":
            return self.mask_call(*args)
        differs = self._apply(operation, *args)
        self._differs[id(differs)] = args
        return differs

    def of(self, tensor):
        """The mask of a tensor, or None."""
        return self._masks.get(id(tensor))

    def given(self, args, kwargs, inputs):
        """Returns the masks that a layer is called with: those of its first argument, or the user's `mask`.

        Args:
            args, kwargs: Arguments of the call.
            inputs: Inputs of the model; a user's mask may be one of them.
        """
        masks = keras.tree.map_structure(self.of, args[0]) if args else None
        mask = kwargs.get("mask")
        if mask is None:
            return masks
        is_users = any(mask is other for other in [call.y for call in self._calls] + inputs)
        return masks if has_any(masks) and not is_users else mask

    def merge(self, layer, tensors, masks):
        """What Keras's own merge function makes of tensors with these masks: products, for example, are of ones where
        a mask leaves a step out."""
        given = [keras.ops.copy(tensor) for tensor in tensors]
        for tensor, mask in zip(given, masks, strict=True):
            tensor._keras_mask = mask
        return layer._merge_function(given)

    def read(self, args, kwargs, masks):
        """Of these masks, those that Keras hands to the layer: to one that is called with several tensors, such as
        initial states, only what a user gives as `mask`."""
        given = (*args, *kwargs.values())
        tensors = [one for one in given if any(isinstance(x, keras.KerasTensor) for x in keras.tree.flatten(one))]
        return masks if len(tensors) == 1 or kwargs.get("mask") is not None else None

    def note(self, layer, args, masks, results):
        """Records the mask of a layer's outputs."""
        if isinstance(layer, keras.layers.Embedding) and layer.mask_zero:
            self._put(results, self.mask_call(args[0], 0))
        elif isinstance(layer, keras.layers.Masking):
            self._put(results, self.mask_call(args[0], layer.mask_value))
        elif isinstance(layer, FrameGate):
            self._put(results, self._gate_call(layer, args[0], masks))
        elif has_any(masks) and getattr(layer, "supports_masking", False):
            passed = masks
            if isinstance(masks, (list, tuple)) and hasattr(layer, "_merge_function"):
                passed = self._merged(layer, args[0], masks)
            elif not isinstance(layer, keras.layers.TimeDistributed):
                passed = self._apply(layer.compute_mask, args[0], masks)
            for result, mask in zip(_listed(results), _listed(passed), strict=False):
                self._put(result, mask)

    def arguments(self, layer, masks, args):
        """The mask that Keras would pass to a layer that takes masks."""
        if not isinstance(layer, keras.Layer):
            return {}
        names = list(inspect.signature(layer.call).parameters)
        given = {"mask": masks} if "mask" in names and has_any(masks) else {}
        for name, value in zip(names, args, strict=False):
            mask = keras.tree.map_structure(self.of, value)
            if f"{name}_mask" in names and has_any(mask):
                given[f"{name}_mask"] = mask
        return given

    def mask_call(self, x, value):
        """The mask of a `MaskCall`, which is added unless there is one."""
        for call in self._calls:
            if call.x is x and call.value == value:
                return call.y
        differs = keras.ops.not_equal(x, value)
        call = MaskCall(x, differs if x.dtype == "int32" else keras.ops.any(differs, axis=-1), value)
        self._calls.append(call)
        self._begin(call.y)
        return call.y

    def _gate_call(self, layer, x, mask):
        read = [x] if mask is None else [x, mask]
        call = GateCall(layer, x, mask, MadeSteps(layer, self._keeps_states)(read))
        self._gates.append(call)
        self._begin(call.y)
        return call.y

    def _merged(self, layer, tensors, masks):
        """The mask of a layer that merges its inputs. It keeps a step if any input does, and is None if one has none;
        what is concatenated in time has the masks of its parts."""
        if isinstance(layer, keras.layers.Dot):
            return None
        if isinstance(layer, keras.layers.Concatenate) and layer.axis % len(tensors[0].shape) == 1:
            parts = [
                keras.ops.ones(tensor.shape[:2], "bool") if mask is None else mask
                for tensor, mask in zip(tensors, masks, strict=True)
            ]
            return self._apply(keras.ops.concatenate, parts, axis=1)
        if any(mask is None for mask in masks):
            return None
        merged, *others = {id(mask): mask for mask in masks}.values()
        for mask in others:
            merged = self._apply(keras.ops.logical_or, merged, mask)
        return merged

    def _put(self, tensor, mask):
        if mask is not None:
            self._masks[id(tensor)] = mask
            self._kept += [tensor, mask]


# They read the masks of their inputs, beside those values.
MERGES_BY_MASKS = (keras.layers.Multiply, keras.layers.Maximum, keras.layers.Minimum)


def has_any(masks):
    """Whether any mask in a nested structure is not None."""
    return any(mask is not None for mask in keras.tree.flatten(masks))


def _listed(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]
