"""A converted model as C: for a microcontroller, and for QEMU, where it is checked and its instructions are counted."""
