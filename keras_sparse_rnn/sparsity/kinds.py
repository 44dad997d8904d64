"""Keras layers, grouped by what they do with their input features, that `Wiring` can follow."""

import keras

RECURRENT = {keras.layers.RNN, keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM}

# Layers that keep the order of features, do not mix them, and map a feature that is always zero to zero.
BY_FEATURE = {
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RepeatVector,
    *(
        getattr(keras.layers, f"{kind}{rank}D")
        for rank in (1, 2, 3)
        for kind in (
            "AveragePooling",
            "Cropping",
            "GlobalAveragePooling",
            "GlobalMaxPooling",
            "MaxPooling",
            "SpatialDropout",
            "UpSampling",
            "ZeroPadding",
        )
    ),
}
MERGES = {
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
}
CONVOLUTIONS = {keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D}
TRANSPOSED = {keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose}
DEPTHWISE = {keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D}
SEPARABLE = {keras.layers.SeparableConv1D, keras.layers.SeparableConv2D}
ATTENTION = {keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention}
ACTIVATIONS = {keras.layers.Activation, keras.layers.ELU, keras.layers.LeakyReLU, keras.layers.ReLU}
BY_ELEMENT = {
    keras.activations.elu,
    keras.activations.exponential,
    keras.activations.gelu,
    keras.activations.hard_sigmoid,
    keras.activations.leaky_relu,
    keras.activations.linear,
    keras.activations.mish,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.selu,
    keras.activations.sigmoid,
    keras.activations.silu,
    keras.activations.softplus,
    keras.activations.softsign,
    keras.activations.tanh,
}
