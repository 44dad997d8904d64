"""Converts an Embedding to one op."""

import keras


class Lookup(keras.layers.Layer):
    """An Embedding that takes no negative indices.

    Keras maps negative indices to rows from the end, with ops that TensorFlow Lite Micro lacks.

    Attributes:
        embedding: The Embedding.
    """

    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding

    @property
    def table(self):
        """The rows as a float32 array."""
        return keras.ops.convert_to_numpy(self.embedding.embeddings).astype("float32")

    def compute_output_spec(self, numbers):
        return keras.KerasTensor((*numbers.shape, self.embedding.output_dim), "float32")  # without TensorFlow

    def call(self, numbers):
        import tensorflow as tf

        return tf.gather(tf.convert_to_tensor(self.embedding.embeddings), tf.cast(numbers, "int32"))
