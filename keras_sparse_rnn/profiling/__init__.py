"""What a model holds and what it costs."""

from keras_sparse_rnn.profiling.macs import LayerMacs, count_dense_macs, count_macs, record_events
from keras_sparse_rnn.profiling.profile import GateProfile, LayerProfile, ModelProfile, profile, summary

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
