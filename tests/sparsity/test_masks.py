import keras
import numpy as np
import pytest

from keras_sparse_rnn.sparsity import Blocks, Kernel, Masks, lowest


def kernels_of(*arrays, gates=1):
    return [Kernel(f"k{i}", keras.Variable(a.astype("float32")), gates, None) for i, a in enumerate(arrays)]


def values(masks):
    masks.apply()
    return masks.values()


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.77, 0.95, 0.999])
@pytest.mark.parametrize(
    ("shape", "gates", "block_shape"), [((5, 21), 3, (1, 4)), ((9, 20), 4, (2, 3)), ((7, 8), 1, (1, 1))]
)
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_sparsity_is_within_one_block_of_what_was_asked(sparsity, shape, gates, block_shape, scope):
    rng = np.random.default_rng(0)
    masks = Masks(kernels_of(rng.normal(size=shape), 9 * rng.normal(size=shape), gates=gates), block_shape)
    masks.prune(sparsity, scope=scope)
    zeros = [np.count_nonzero(w == 0) for w in values(masks)]
    size, block = np.prod(shape), np.prod(block_shape)
    if scope == "layer":
        assert all(abs(n - sparsity * size) <= block for n in zeros)
    else:
        assert abs(sum(zeros) - sparsity * 2 * size) <= block
    assert masks.sparsity == pytest.approx(sum(zeros) / (2 * size))


def masks_of_tfmot(w, cases):
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

    schedule = tfmot.sparsity.keras.ConstantSparsity(0.75, 0)
    methods = [pruning_impl.Pruning(lambda: 0, [], schedule, block_shape, pooling) for block_shape, pooling, _ in cases]
    return [method._maybe_update_block_mask(tf.constant(w))[1].numpy() for method in methods]


def test_same_masks_as_tfmot(beside_tfmot):
    w = np.random.default_rng(3).normal(size=(16, 12)).astype("float32")
    cases = [((1, 1), "AVG", "l1"), ((1, 4), "AVG", "l1"), ((4, 2), "AVG", "l1"), ((2, 4), "MAX", "max")]
    for (block_shape, _, score), theirs in zip(cases, beside_tfmot(masks_of_tfmot, w, cases), strict=True):
        masks = Masks(kernels_of(w), block_shape)
        masks.prune(0.75, score)
        np.testing.assert_array_equal(values(masks)[0] != 0, theirs != 0)


def test_global_scope_as_in_torch():
    torch = pytest.importorskip("torch")
    from torch.nn.utils import prune

    rng = np.random.default_rng(4)
    arrays = [rng.normal(size=(6, 8)), 0.3 * rng.normal(size=(10, 4))]
    modules = [torch.nn.Linear(a.shape[1], a.shape[0]) for a in arrays]
    for module, a in zip(modules, arrays, strict=True):
        module.weight.data = torch.tensor(a, dtype=torch.float32)
    prune.global_unstructured([(m, "weight") for m in modules], prune.L1Unstructured, amount=0.6)
    masks = Masks(kernels_of(*arrays))
    masks.prune(0.6, scope="global")
    for ours, module in zip(values(masks), modules, strict=True):
        np.testing.assert_array_equal(ours, module.weight.detach().cpu().numpy())


def test_masked_blocks_go_first_even_before_kept_zeros():
    w = np.array([[0.0, 5, 1, 2]])
    masks = Masks(kernels_of(w))
    masks.keep([np.array([True, False, True, True]).reshape(1, 1, 4)])
    masks.kernels[0].variable.assign(w)
    masks.prune(0.25)
    assert masks.kept[0].ravel().tolist() == [True, False, True, True]
    masks.prune(0.5)
    assert masks.kept[0].ravel().tolist() == [False, False, True, True]


@pytest.mark.backend
def test_recovered_masks_are_those_applied():
    rng = np.random.default_rng(5)
    kernels = kernels_of(rng.normal(size=(5, 14)), rng.normal(size=(7, 14)), gates=2)
    masks = Masks(kernels, (1, 4))
    masks.prune(0.6, scope="global")
    masks.apply()
    again = Masks(kernels, (1, 4))
    again.recover()
    for a, b in zip(masks.kept, again.kept, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.backend
def test_apply_stops_infinities_and_follows_averages():
    kernels = kernels_of(np.array([[1.0, np.inf], [np.nan, 4.0]]))
    average = keras.Variable(np.full((2, 2), 7.0, "float32"))
    masks = Masks(kernels)
    masks.keep([np.array([[True, False], [False, True]])[:, None]])
    masks.apply({id(kernels[0].variable): average})
    assert masks.values()[0].tolist() == [[1, 0], [0, 4]]
    assert keras.ops.convert_to_numpy(average).tolist() == [[7, 0], [0, 7]]


def test_lowest_takes_whole_blocks_nearest_to_the_share_and_leaves_one():
    sizes = np.array([4, 4, 1])
    scores = np.array([2.0, 1.0, 3.0])
    assert lowest(scores, sizes, 0.5).tolist() == [False, True, False]
    assert lowest(scores, sizes, 0.8).tolist() == [True, True, False]
    assert lowest(scores, sizes, 0.99).tolist() == [True, True, False]
    assert lowest(scores, sizes, 0.2).tolist() == [False, False, False]


def test_lowest_of_equal_blocks_is_what_a_stable_sort_gives():
    rng = np.random.default_rng(1)
    for sparsity in (0.0, 0.013, 0.5, 0.875, 0.99999):
        for scores in (rng.normal(size=(7, 3, 5)), rng.integers(4, size=(7, 3, 5)).astype(float)):
            scores[rng.random(scores.shape) < 0.3] = -np.inf
            for nans in (0, 60):
                scores.flat[rng.permutation(scores.size)[:nans]] = np.nan
                order = np.argsort(scores, axis=None, kind="stable")
                expected = np.zeros(scores.size, bool)
                expected[order[: min(round(sparsity * scores.size - 1e-9), scores.size - 1)]] = True
                chosen = lowest(scores, np.full(scores.shape, 4), sparsity)
                np.testing.assert_array_equal(chosen.ravel(), expected)


def test_error_of_a_block_too_large_names_the_kernel():
    with pytest.raises(ValueError, match="larger than a gate of k0"):
        Masks(kernels_of(np.ones((4, 4))), (1, 8))
    assert Blocks((4, 4), 1, (4, 4)).sizes.tolist() == [[[16]]]
