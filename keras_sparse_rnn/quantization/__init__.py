"""Quantization-aware training: the model trains with the integers that `ksr.convert` uses."""

from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.quantization.fake_quantization import fake_quantized
from keras_sparse_rnn.quantization.quantization_aware import QuantizationAware

__all__ = ["QuantizationAware", "Ranges", "fake_quantized"]
