"""Drop and grow: changes a mask while the number of its weights stays constant."""

import math
from typing import Literal

import numpy as np

from keras_sparse_rnn.sparsity.blocks import Blocks
from keras_sparse_rnn.typing import Score

DROPS = ("magnitude", "signed")
GROWS = ("random", "gradient")
REDISTRIBUTIONS = ("gates", "equal", "none")


def drop_score(
    blocks: Blocks,
    values: np.ndarray,
    kept: np.ndarray,
    drop: Literal["magnitude", "signed"] = "magnitude",
    score: Score = "l1",
) -> np.ndarray:
    """Computes the scores of blocks for dropping; blocks with the lowest scores are dropped.

    Args:
        blocks: The kernel's `Blocks`.
        values: The kernel's weights, an array of the kernel's shape.
        kept: Bool array of shape `blocks.grid`: the blocks in the mask.
        drop: `"magnitude"`: the block's score of |w|. `"signed"`: the rank of this score among the kept blocks of the
            same sign, so that one half of the dropped blocks are the smallest positive and the other half the largest
            negative ones (SET, arXiv:1707.04780). The sign of a block of several weights is the sign of their sum.
        score: One of `SCORES`.

    Returns:
        Float array of shape `blocks.grid`.
    """
    worth = blocks.score(values, score)
    if drop == "magnitude":
        return worth
    positive = blocks.score(np.maximum(values, 0)) >= blocks.score(np.minimum(values, 0))
    ranks = np.zeros(kept.shape)
    for same_sign in (kept & positive, kept & ~positive):
        ranks[same_sign] = np.argsort(np.argsort(worth[same_sign], kind="stable"))
    return ranks


def renew(
    kept: np.ndarray,
    worth: np.ndarray,
    promise: np.ndarray,
    sizes: np.ndarray,
    fraction: float,
    redistribute: Literal["gates", "equal", "none"],
    rng: np.random.Generator,
    group: int | None = None,
) -> np.ndarray:
    """Drops a fraction of the kept blocks, those of lowest `worth`, and grows as many of highest `promise`.

    ceil(fraction * kept) blocks are dropped. Ties are broken at random. Blocks that were just dropped may grow again,
    as in RigL (arXiv:1911.11134) and Selfish-RNN (arXiv:2101.09048). Ragged blocks are replaced by blocks of the same
    size, so that the number of weights stays the same, not only the number of blocks.

    Args:
        kept: Bool array (block rows, gates, block columns): the mask by blocks.
        worth: Float array of the same shape: the scores for dropping.
        promise: Float array of the same shape: the scores for growing; all zeros for random growth.
        sizes: Int array of the same shape, the number of weights in each block; blocks with 0 are always kept.
        fraction: Fraction of the kept blocks to drop, in [0, 1).
        redistribute: `"gates"`: blocks are ranked over all gates together for dropping and growing, so that gates
            exchange weights (cell-gate redistribution of Selfish-RNN). `"equal"`: they are dropped in the same way, and
            grown in equal numbers for each gate. `"none"`: each gate keeps its number of weights.
        rng: `np.random.Generator`.
        group: Number of consecutive block rows in a group, which divides them: as many blocks grow in each column of a
            group as are dropped there, so that an n:m pattern stays. None: there are no groups.

    Returns:
        Bool array of the same shape, with the same number of weights.
    """
    gates = [np.s_[:, [gate]] for gate in range(kept.shape[1])]
    survivors, droppable = kept.copy(), kept & (sizes > 0)
    for part in gates if redistribute == "none" else [np.s_[:]]:
        count = math.ceil(fraction * droppable[part].sum())
        survivors[part] &= ~_highest(-worth[part], droppable[part], count, rng)
    if group is not None:
        return survivors | _highest_of_groups(promise, survivors, kept & ~survivors, group, rng)
    renewed = survivors.copy()
    for size in np.unique(sizes):
        room, lost = ~survivors & (sizes == size), kept & ~survivors & (sizes == size)
        if redistribute == "gates":
            renewed |= _highest(promise, room, lost.sum(), rng)
            continue
        counts = lost.sum(axis=(0, 2))
        if redistribute == "equal":
            counts = _equal_shares(counts.sum(), room.sum(axis=(0, 2)))
        for part, count in zip(gates, counts, strict=True):
            renewed[part] |= _highest(promise[part], room[part], count, rng)
    return renewed


def _highest(scores, among, count, rng):
    """Returns a bool array: the `count` highest scores where `among` is True; ties are broken at random."""
    where = rng.permutation(np.flatnonzero(among))
    order = np.argsort(np.ravel(scores)[where], kind="stable")
    chosen = np.zeros(among.size, bool)
    chosen[where[order[order.size - count :]]] = True
    return chosen.reshape(among.shape)


def _highest_of_groups(scores, taken, lost, group, rng):
    """Returns a bool array: in each column of a group of rows the highest scores, as many as are `lost` there."""
    of_groups = (len(scores) // group, group, *scores.shape[1:])
    ranked = np.where(taken, -np.inf, scores).reshape(of_groups)
    order = np.lexsort((rng.random(of_groups), -ranked), axis=1)  # ties at random
    ranks = np.argsort(order, axis=1)
    return (ranks < lost.reshape(of_groups).sum(axis=1, keepdims=True)).reshape(scores.shape)


def _equal_shares(count, room):
    """Divides `count` into one share per entry of `room`, as equal as possible and none larger than its room."""
    shares = np.zeros_like(room)
    while count:
        for i in np.flatnonzero(shares < room):
            portion = min(max(1, count // len(room)), room[i] - shares[i], count)
            shares[i] += portion
            count -= portion
    return shares
