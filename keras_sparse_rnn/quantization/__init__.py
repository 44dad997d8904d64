"""Training for integers: what is trained is what `ksr.convert` makes of it."""

from keras_sparse_rnn.convert.ranges import Ranges
from keras_sparse_rnn.quantization.fake_quantization import fake_quantized
from keras_sparse_rnn.quantization.quantization_aware import QuantizationAware

__all__ = ["QuantizationAware", "Ranges", "fake_quantized"]
