"""Initializers for thresholds."""

import random
from typing import Any

import keras
from keras import ops

from keras_sparse_rnn.typing import Shape, Tensor, is_integer, is_number, not_negative


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class Beta(keras.initializers.Initializer):
    """Values from a beta distribution with a given mean: Beta(alpha, beta), alpha = beta * mean / (1 - mean).

    Used for thresholds in [0, 1] by the EvNN library (version 0.2, `thr_mean`), with beta = 3.

    Args:
        mean: Mean of the distribution, in (0, 1).
        beta: Second shape parameter, above 0.
        seed: Integer or None. Like Keras's own initializers, an instance returns the same values at each call. Without
            a seed, each instance draws one, which `keras.utils.set_random_seed` determines.

    Raises:
        ValueError: `mean` is not in (0, 1), `beta` is not positive, or `seed` is neither an integer nor None.
    """

    def __init__(self, mean: float = 0.3, beta: float = 3.0, seed: int | None = None) -> None:
        if not (is_number(mean) and 0 < mean < 1):
            raise ValueError(f"`mean` must be in (0, 1). Received: mean={mean!r}")
        if not (is_number(beta) and beta > 0):
            raise ValueError(f"`beta` must be positive. Received: beta={beta!r}")
        if not (seed is None or is_integer(seed)):
            raise ValueError(f"`seed` must be an integer or None. Received: seed={seed!r}")
        self.mean = mean
        self.beta = beta
        self.seed = seed
        self._drawn_seed = random.randint(1, 10**9) if seed is None else seed

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        alpha = self.beta * self.mean / (1 - self.mean)
        return keras.random.beta(shape, alpha, self.beta, dtype=dtype, seed=self._drawn_seed)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "beta": self.beta, "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_sparse_rnn")
class Sensitivity:
    """Thresholds of held values by their effect: `scale` divided by the norm of the weights that read the value.

        threshold_j = scale / ||W_j||

    W_j is the row of weights that read value j, in all gates. The part of a value that is held back then changes the
    sums that read it by at most `scale` in the L2 norm: values with little effect are held longest. The thresholds
    follow the weights, also during training. If the thresholds are trained, each value has a scale of its own, which
    starts at `scale`.

    Args:
        scale: Number, or list with one number per value, >= 0; in units of the sums.

    Raises:
        ValueError: `scale` is not a number or list of numbers, or one of them is negative.

    Example:

    >>> layer = ksr.layers.DeltaGRU(32, Sensitivity(0.2), Sensitivity(0.1))
    """

    def __init__(self, scale: float | list[float]) -> None:
        self.scale = not_negative("scale", scale).tolist()

    @staticmethod
    def thresholds(scale: Tensor, kernel: Tensor) -> Tensor:
        """Returns the thresholds `(sources,)` for a kernel `(sources, columns)`, given a scale, a number or
        `(sources,)`.

        No gradient flows to the kernel.
        """
        kernel = ops.stop_gradient(ops.convert_to_tensor(kernel))
        # In mixed precision, the kernel may be in float16, in which squares overflow, and the scale in float32.
        dtype = keras.backend.result_type(kernel.dtype, "float32")
        norms = ops.sqrt(ops.sum(ops.square(ops.cast(kernel, dtype)), axis=1))
        return ops.cast(scale, dtype) / ops.maximum(norms, 1e-9)  # a value that nothing reads is never sent

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sensitivity":
        return cls(**config)
