"""Kernels of low rank: products of two matrices."""

from typing import Any

from keras_sparse_rnn.typing import Rank, is_integer


def checked_rank(rank: Any) -> Rank:
    """Returns a rank as None, an integer or a pair; raises ValueError unless it is one."""
    if rank is None or _is_size(rank):
        return rank
    if isinstance(rank, (list, tuple)) and len(rank) == 2 and all(map(_is_size, rank)):
        return rank[0], rank[1]
    raise ValueError(
        "`rank` must be None, a positive integer (one middle of inputs and state) or a pair of positive integers (one "
        f"of the inputs, one of the state). Received: rank={rank!r}"
    )


def check_fits(rank: Rank, features: int, units: int, columns: int) -> None:
    """Raises ValueError if a rank is above what kernels (features, columns) and (units, columns) can have."""
    if rank is None:
        return
    if isinstance(rank, int):
        most: Any = min(features + units, columns)
        fits = rank <= most
    else:
        most = min(features, columns), min(units, columns)
        fits = rank[0] <= most[0] and rank[1] <= most[1]
    if not fits:
        raise ValueError(
            f"`rank` must be at most {most} for {features} features and {units} units: matrices of these shapes have "
            f"no larger one. Received: rank={rank!r}"
        )


def middles(rank: int | tuple[int, int]) -> tuple[int, int, int]:
    """Returns the columns of the factors that read the inputs and the state, and the rows of the one that reads what
    they give."""
    return (rank, rank, rank) if isinstance(rank, int) else (*rank, sum(rank))


def _is_size(value):
    return is_integer(value) and value > 0
