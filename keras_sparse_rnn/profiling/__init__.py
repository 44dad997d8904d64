"""Size and cost of a model."""

from keras_sparse_rnn.profiling.macs import LayerMacs, count_dense_macs, count_macs, record_events
from keras_sparse_rnn.profiling.profile import profile, summary
from keras_sparse_rnn.profiling.table import GateProfile, LayerProfile, ModelProfile

__all__ = [
    "GateProfile",
    "LayerMacs",
    "LayerProfile",
    "ModelProfile",
    "count_dense_macs",
    "count_macs",
    "profile",
    "record_events",
    "summary",
]
