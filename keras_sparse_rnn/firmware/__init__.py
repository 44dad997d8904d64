"""A converted model as C: for a microcontroller, and for QEMU, where it is checked and its instructions are counted."""

from keras_sparse_rnn.extras import packages_of

with packages_of("convert", "keras_sparse_rnn.firmware"):
    from keras_sparse_rnn.firmware.frameworks import FRAMEWORKS
    from keras_sparse_rnn.firmware.project import Firmware, save_firmware

__all__ = ["FRAMEWORKS", "Firmware", "save_firmware"]
