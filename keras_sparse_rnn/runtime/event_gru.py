"""The custom options of the op KsrEventGru, as `tflite/include/ksr_event_gru.h` defines them."""

from dataclasses import astuple, dataclass, fields

import numpy as np

NAME = "KsrEventGru"
READOUTS = ("event", "cell", "trace")


@dataclass(frozen=True)
class EventGruOptions:
    """One little-endian int32 word for each field; see the C header for their meaning."""

    units: int
    block: int
    readout: int
    go_backwards: int
    return_sequences: int
    reset: int
    trace_rate: int
    x_zero_point: int = 0
    x_shift: int = 0
    y_shift: int = 0
    fraction: int = 0
    z_multiplier: int = 0
    r_multiplier: int = 0
    x_multiplier: int = 0
    y_multiplier: int = 0
    event_multiplier: int = 0
    event_shift: int = 0
    output_multiplier: int = 0
    output_shift: int = 0
    output_zero_point: int = 0

    VERSION = 1

    @property
    def event_scale(self):
        """What one count of a sent event is worth (int8 models)."""
        return 2.0**self.event_shift / (2**15 * self.event_multiplier)

    def to_bytes(self):
        return np.array([self.VERSION, *astuple(self)], "<i4").tobytes()

    @classmethod
    def from_bytes(cls, data):
        """Raises ValueError where the size or the version is not ours."""
        size = 4 * (1 + len(fields(cls)))
        if len(data) != size:
            raise ValueError(f"custom options of {NAME} must have {size} bytes; given: {len(data)}.")
        version, *words = np.frombuffer(data, "<i4").tolist()
        if version != cls.VERSION:
            raise ValueError(f"custom options of {NAME} must have the version {cls.VERSION}; given: {version}.")
        return cls(*words)
