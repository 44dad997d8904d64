"""What a mask is: the blocks that tile a kernel, the kernels of a model that can be pruned, the masks over them."""

from keras_sparse_rnn.sparsity.blocks import SCORES, Blocks
from keras_sparse_rnn.sparsity.kernels import Kernel, find_kernels
from keras_sparse_rnn.sparsity.masks import Masks, lowest
from keras_sparse_rnn.sparsity.measure import measure, measure_kernels

__all__ = ["SCORES", "Blocks", "Kernel", "Masks", "find_kernels", "lowest", "measure", "measure_kernels"]
