"""Drop and grow: how a mask moves while the number of its weights stays what it is."""

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
    """What blocks are worth when the lowest are dropped: a float array of shape `blocks.grid`.

    Args:
        blocks: The kernel's `Blocks`.
        values: Its weights, array of its shape.
        kept: Bool array of shape `blocks.grid`: the blocks in the mask.
        drop: `"magnitude"`: the block's score of |w|. `"signed"`: its rank by that score among the kept blocks of its
            own sign, so that half of those dropped are the smallest positive and half the largest negative ones (SET,
            arXiv:1707.04780). The sign of a block of several weights is that of their sum.
        score: One of `SCORES`.
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
) -> np.ndarray:
    """Drops the share `fraction` of the kept blocks that are worth least, and grows as many where most is promised.

    ceil(fraction * kept) blocks are dropped. Of equals, chance decides. Among the places to grow are those just
    dropped, as in RigL (arXiv:1911.11134) and Selfish-RNN (arXiv:2101.09048). Ragged blocks are replaced by blocks of
    their own size, so that the number of weights, not of blocks only, stays the same.

    Args:
        kept: Bool array (block rows, gates, block columns): the mask by blocks.
        worth: Float array of the same shape.
        promise: Float array of the same shape; all zeros for random growth.
        sizes: Int array of the same shape, the number of weights in each block.
        fraction: In [0, 1).
        redistribute: `"gates"`: blocks are ranked over all gates together, to drop and to grow, so that gates exchange
            weights (cell-gate redistribution of Selfish-RNN). `"equal"`: they are dropped in this way, and grown in
            equal shares in each gate. `"none"`: each gate keeps the number of weights it has.
        rng: `np.random.Generator`.

    Returns:
        Bool array of the same shape, with the same number of weights.
    """
    gates = [np.s_[:, [gate]] for gate in range(kept.shape[1])]
    survivors = kept.copy()
    for part in gates if redistribute == "none" else [np.s_[:]]:
        count = math.ceil(fraction * kept[part].sum())
        survivors[part] &= ~_highest(-worth[part], kept[part], count, rng)
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
    """Bool array: the `count` highest of the scores where `among` is True; of equals, chance decides."""
    where = rng.permutation(np.flatnonzero(among))
    order = np.argsort(np.ravel(scores)[where], kind="stable")
    chosen = np.zeros(among.size, bool)
    chosen[where[order[order.size - count :]]] = True
    return chosen.reshape(among.shape)


def _equal_shares(count, room):
    """Divides `count` into as many shares as `room` has entries, each within its room, as equal as they can be."""
    shares = np.zeros_like(room)
    while count:
        for i in np.flatnonzero(shares < room):
            portion = min(max(1, count // len(room)), room[i] - shares[i], count)
            shares[i] += portion
            count -= portion
    return shares
