"""Converts dilated convolutions to one op each."""

import keras


class DilatedConvolution(keras.layers.Layer):
    """A dilated Conv1D or Conv2D with its activation, as one op.

    TensorFlow moves the dilation into the batch and back. If several convolutions read one tensor, TensorFlow Lite's
    converter does not fuse these ops again, and TensorFlow Lite Micro lacks them for 16 bits.

    Args:
        convolution: The layer.
    """

    def __init__(self, convolution):
        super().__init__(name=convolution.name)
        self.convolution = convolution

    def call(self, x):
        import tensorflow as tf

        layer = self.convolution
        kernel, padding = tf.convert_to_tensor(layer.kernel), layer.padding.upper()
        dilation = list(layer.dilation_rate)
        if padding == "CAUSAL":
            x, padding = tf.pad(x, [[0, 0], [(kernel.shape[0] - 1) * dilation[0], 0], [0, 0]]), "VALID"
        is_1d = layer.rank == 1
        if is_1d:
            x, kernel, dilation = tf.expand_dims(x, 1), tf.expand_dims(kernel, 0), [1, *dilation]
        y = tf.nn.conv2d(x, kernel, strides=1, padding=padding, dilations=dilation)
        if layer.use_bias:
            y = tf.nn.bias_add(y, tf.convert_to_tensor(layer.bias))
        return layer.activation(tf.squeeze(y, 1) if is_1d else y)


def is_dilated(layer):
    """Whether a layer is a convolution that `DilatedConvolution` can replace."""
    return (
        type(layer) in (keras.layers.Conv1D, keras.layers.Conv2D)
        and max(layer.dilation_rate) > 1
        and layer.groups == 1
        and layer.data_format == "channels_last"
    )
