"""What a model costs: multiply-accumulates counted on data."""

from keras_sparse_rnn.profiling.macs import LayerMacs, count_macs

__all__ = ["LayerMacs", "count_macs"]
