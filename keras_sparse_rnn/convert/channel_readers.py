"""The weights that read the channels of a model's inputs."""

import keras
import numpy as np

from keras_sparse_rnn.convert.recurrent import is_cell
from keras_sparse_rnn.layers import DeltaHold
from keras_sparse_rnn.sparsity.kinds import BY_FEATURE, CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED

_L = keras.layers
_READERS = "Dense, convolutions, BatchNormalization, Normalization and recurrent layers"
_WAY_OUT = "Take input_scales='tensor', or bring the channels to one range in front of the model."


class ChannelReaders:
    """The layers of a model that multiply its inputs by weights.

    Channels are the indices of the last axes of the inputs, numbered from the first input to the last.

    Args:
        model: A built Sequential or Functional model. It is not changed.
        names: Names of its inputs, for errors.
        sizes: For each input the number of its channels; 0 for an input that is left as it is.

    Attributes:
        matrices: A list of `(name, channels, kernel)`, one for each kernel that reads inputs: the name of its layer,
            the number of the channel of each value that it reads (-1 for what is no input), and the weights as
            `(values, outputs)`.

    Raises:
        ValueError: A layer that an input enters does not multiply it by weights alone; the message names it.
    """

    def __init__(self, model, names, sizes):
        self._model, self._names = model, names
        self._ends = np.cumsum(sizes)
        self._known = {}  # by the id of a symbolic tensor: the tensor, and the channels of its last axis or None
        self._factors = {}  # by the id of a variable: the channels along an axis, and whether they divide it
        self._configs = {}  # by the id of a layer: a function from divisors to what changes in its configuration
        self._read = {}  # by the id of a layer: the channels of what it reads
        self.matrices = []
        for tensor, end, size in zip(model.inputs, self._ends, sizes, strict=True):
            self._known[id(tensor)] = tensor, np.arange(end - size, end) if size else None
        for tensor in model.outputs:
            channels = self._of(tensor)
            if channels is not None:
                raise ValueError(
                    f"input_scales='channel': input '{self._name(channels)}' is an output of the model, too. {_WAY_OUT}"
                )

    def multiplied(self, divisors):
        """Returns a model that gives for divided inputs what the model gives for the inputs.

        Args:
            divisors: One for each channel, float32.
        """
        made, own, holders = [], self._model, {}

        def clone(layer):
            changed = self._configs.get(id(layer), lambda divisors: {})(divisors)
            made.append((layer, type(layer).from_config(layer.get_config() | changed)))
            return made[-1][1]

        # Keras compiles a clone as its model was, and fails at losses that it cannot serialize: clone one not compiled.
        graph = own if isinstance(own, keras.Sequential) else keras.Model(own.input, own.output, name=own.name)
        model = keras.models.clone_model(graph, clone_function=clone)
        for layer, copy in made:
            for key in {id(variable) for variable in layer.weights} & self._factors.keys():
                if holders.setdefault(key, layer) is not layer:
                    raise _is_shared(layer)
            if type(layer) is not _L.Normalization or id(layer) not in self._configs:
                copy.set_weights([self._scaled(variable, divisors) for variable in layer.weights])
        return model

    def _scaled(self, variable, divisors):
        values = keras.ops.convert_to_numpy(variable)
        if id(variable) not in self._factors:
            return values
        channels, axis, is_divided = self._factors[id(variable)]
        by, shape = _of_channels(divisors, channels), [1] * values.ndim
        shape[axis] = -1
        return values * (1 / by if is_divided else by).reshape(shape)

    def _name(self, channels):
        return self._names[int(np.searchsorted(self._ends, channels.max(), side="right"))]

    def _of(self, tensor):
        """Returns the channels of the last axis of a tensor, or None if no input enters it undivided."""
        if id(tensor) not in self._known:
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            given = [self._of(part) for part in node.input_tensors]
            if isinstance(operation, keras.Layer):
                self._check_shared(operation, given)
            is_read = any(channels is not None for channels in given)
            for output in node.output_tensors:
                self._known[id(output)] = output, self._follow(operation, given, node, output) if is_read else None
        return self._known[id(tensor)][1]

    def _check_shared(self, layer, given):
        """Raises ValueError if a layer reads different channels at two places."""
        others = self._read.setdefault(id(layer), given)
        if len(others) != len(given) or not all(np.array_equal(*pair) for pair in zip(others, given, strict=True)):
            raise _is_shared(layer)

    def _follow(self, layer, given, node, output):
        """Returns the channels of an output of an operation that reads inputs."""
        kind, channels, others = type(layer), given[0], given[1:]
        if kind is _L.Concatenate:
            axis = layer.axis if layer.axis < 0 else layer.axis - len(output.shape)
            sizes = [part.shape[-1] for part in node.input_tensors]
            parts = [np.full(n, -1) if part is None else part for part, n in zip(given, sizes, strict=True)]
            if axis == -1:
                return np.concatenate(parts)
            if all(np.array_equal(part, parts[0]) for part in parts):
                return parts[0]
        elif channels is None or any(other is not None for other in others):
            pass
        elif kind in BY_FEATURE or (kind is _L.Masking and layer.mask_value == 0) or _is_linear(layer):
            return channels
        elif kind in (_L.Flatten, _L.Reshape) and output.shape[-1] and output.shape[-1] % len(channels) == 0:
            return np.tile(channels, output.shape[-1] // len(channels))
        elif kind is DeltaHold and self._hold(layer.cell, channels, layer, "threshold"):
            return channels
        elif _is_mask(layer, node) or self._reads(layer, channels, len(node.input_tensors[0].shape)):
            return None
        name = self._name(next(part for part in given if part is not None))
        raise ValueError(
            f"input_scales='channel': input '{name}' enters layer '{layer.name}' ({kind.__name__}), whose result is "
            f"not that of scaled channels times other weights. Scales can be folded into {_READERS}. {_WAY_OUT}"
        )

    def _reads(self, layer, channels, rank):
        """Notes the weights of a layer that multiplies its input by them; whether it does."""
        kind = type(layer)
        if getattr(layer, "data_format", "channels_last") != "channels_last" or getattr(layer, "groups", 1) != 1:
            return False
        if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
            return False
        if kind is _L.TimeDistributed:
            return self._reads(layer.layer, channels, rank - 1)
        if kind is _L.Bidirectional:
            return all(self._reads(part, channels, rank) for part in (layer.forward_layer, layer.backward_layer))
        if kind is _L.Dense or kind in CONVOLUTIONS or kind in DEPTHWISE:
            self._matrix(layer.name, layer.kernel, channels)
        elif kind in TRANSPOSED:
            self._matrix(layer.name, layer.kernel, channels, axis=-1)
        elif kind in SEPARABLE:
            self._matrix(layer.name, layer.depthwise_kernel, channels)
        elif kind is _L.BatchNormalization:
            if layer.axis not in (-1, rank - 1) or not layer.scale:
                return False
            self._factors[id(layer.gamma)] = channels, 0, False
            self._factors[id(layer.moving_mean)] = channels, 0, True
        elif kind is _L.Normalization:
            return self._normalization(layer, channels, rank)
        elif hasattr(layer, "cell") and is_cell(layer.cell):
            cell = layer.cell
            while isinstance(cell, _L.StackedRNNCells):
                cell = cell.cells[0]
            hold = getattr(cell, "input_hold", None)
            if hold and not self._hold(hold, channels, layer if cell is layer.cell else None, "input_threshold"):
                return False
            self._matrix(layer.name, cell.kernel, channels)
        else:
            return False
        return True

    def _matrix(self, name, variable, channels, axis=-2):
        if id(variable) not in self._factors:
            kernel = np.moveaxis(keras.ops.convert_to_numpy(variable), axis, 0)
            self.matrices.append((name, channels, kernel.reshape(len(kernel), -1).astype(np.float64)))
        self._factors[id(variable)] = channels, axis, False

    def _normalization(self, layer, channels, rank):
        if layer.invert or layer.axis not in ((), (-1,), (rank - 1,)) or (channels < 0).any():
            return False
        mean, variance = (
            np.broadcast_to(np.reshape(keras.ops.convert_to_numpy(part), -1), channels.shape)
            for part in (layer.mean, layer.variance)
        )
        if np.sqrt(variance.min()) < 1e-4:  # Keras has a lower bound of 1e-7, which would not be divided
            return False
        self._configs[id(layer)] = lambda divisors: {
            "mean": (mean / divisors[channels]).tolist(),
            "variance": (variance / divisors[channels] ** 2).tolist(),
            "axis": -1,
        }
        return True

    def _hold(self, hold, channels, layer, argument):
        """Notes the thresholds of changes of an input; those by sensitivity follow the weights. Whether it can."""
        given = hold.get_config()["threshold"]
        if isinstance(given, dict):
            return True
        if layer is None and not hold.trainable_threshold and np.any(given):
            return False
        if layer is not None:
            thresholds = np.broadcast_to(given, channels.shape)
            self._configs[id(layer)] = lambda divisors: {
                argument: (thresholds / _of_channels(divisors, channels)).tolist()
            }
        for variable in hold.weights:
            self._factors[id(variable)] = channels, 0, True
        return True


def _of_channels(divisors, channels):
    return np.where(channels < 0, np.float32(1), divisors[channels])


def _is_shared(layer):
    return ValueError(
        f"input_scales='channel': layer '{layer.name}' reads an input and, with the same weights, another tensor, "
        f"whose channels have other scales. {_WAY_OUT}"
    )


def _is_linear(layer):
    return type(layer) is _L.Activation and layer.activation is keras.activations.linear


def _is_mask(operation, node):
    """Whether it is the comparison of a Masking with 0, which stays 0 when it is divided."""
    compared = node.arguments.args[1:]
    return type(operation).__name__ == "NotEqual" and all(np.isscalar(part) and part == 0 for part in compared)
