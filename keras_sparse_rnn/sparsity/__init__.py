"""Prunable kernels of a model, the blocks that tile them, masks over the blocks, and how masks change in training."""

from keras_sparse_rnn.sparsity.blocks import SCORES, Blocks
from keras_sparse_rnn.sparsity.density import INITS, kernel_densities
from keras_sparse_rnn.sparsity.growth import DROPS, GROWS, REDISTRIBUTIONS, drop_score, renew
from keras_sparse_rnn.sparsity.kernels import Kernel, KernelSelection, find_kernels, select_kernels
from keras_sparse_rnn.sparsity.masks import Masks, lowest
from keras_sparse_rnn.sparsity.measure import measure, measure_kernels
from keras_sparse_rnn.sparsity.wiring import Wiring

__all__ = [
    "DROPS",
    "GROWS",
    "INITS",
    "REDISTRIBUTIONS",
    "SCORES",
    "Blocks",
    "Kernel",
    "KernelSelection",
    "Masks",
    "Wiring",
    "drop_score",
    "find_kernels",
    "kernel_densities",
    "lowest",
    "measure",
    "measure_kernels",
    "renew",
    "select_kernels",
]
