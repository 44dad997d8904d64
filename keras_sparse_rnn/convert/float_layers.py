"""Layers of an integer model that compute in float32, because TensorFlow Lite's converter has no integer form for
them."""

from dataclasses import dataclass

import keras

_L = keras.layers
# With activations of 16 bits. A pooling layer is one of them only if it has a mask.
_INT16_LAYERS = (
    _L.ELU,
    _L.GroupNormalization,
    _L.LayerNormalization,
    _L.PReLU,
    *([_L.RMSNormalization] if hasattr(_L, "RMSNormalization") else []),
    _L.UnitNormalization,
)
_INT16_POOLING = (_L.GlobalAveragePooling1D,)
_INT16_ACTIVATIONS = ("celu", "elu", "hard_silu", "log_softmax", "mish", "selu", "softsign")


@dataclass(frozen=True, eq=False)
class FloatCall:
    """A call of a layer that computes in float32: `y` from the tensors `read`."""

    layer: keras.Layer
    read: list
    y: object

    @property
    def model(self):
        """Returns a Keras model of this layer only."""
        return keras.Model(self.read, self.y)


class Gelu(keras.layers.Layer):
    """Keras's gelu, x Phi(x) = max(x, 0) - |x| Phi(-|x|), with ops that TensorFlow Lite Micro has.

    Phi is off by at most 1e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
    """

    def call(self, x):
        u = keras.ops.absolute(x)
        t = 1.0 / (1.0 + 0.23164189 * u)
        polynomial = 0.0
        for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
            polynomial = (polynomial + coefficient) * t
        return keras.ops.relu(x) - 0.5 * u * polynomial * keras.ops.exp(-0.5 * keras.ops.square(x))


class FloatLayers:
    """Determines which layers of a model compute in float32.

    Args:
        options: A `ConvertOptions`.
    """

    def __init__(self, options):
        self._is_integer = options.is_integer
        self._is_int16 = options.number_format.activation_bits == 16
        self._lacks_gelu = options.target == "tflm"

    def has(self, layer, masked):
        """Whether a layer is one of them, given whether its inputs are `masked`."""
        if isinstance(layer, Gelu):
            return self._is_integer
        if isinstance(layer, _L.Activation):
            return self._is_int16 and _name(layer.activation) in _INT16_ACTIVATIONS
        return self._is_int16 and isinstance(layer, (*_INT16_LAYERS, *(_INT16_POOLING if masked else ())))

    def activation_behind(self, layer):
        """Returns the layer that replaces the activation in another layer; None if the activation stays."""
        name = _name(getattr(layer, "activation", None))
        if name == "gelu" and self._lacks_gelu:
            gelu = Gelu(name=f"{layer.name}_gelu")
            gelu.given_name = layer.name  # for messages, as users do not know the layer created here
            return gelu
        if name in _INT16_ACTIVATIONS and self._is_int16 and not isinstance(layer, _L.Activation):
            return _L.Activation(layer.activation, name=f"{layer.name}_{name}")
        return None


def _name(activation):
    """Returns the name of one of Keras's own activations; None for others."""
    name = getattr(activation, "__name__", None)
    return name if activation is getattr(keras.activations, name or "", activation) else None
