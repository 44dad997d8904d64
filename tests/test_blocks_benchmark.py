"""The search of `benchmarks/blocks.py` for the threshold that leaves a wanted share of zeros."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import blocks


@pytest.mark.parametrize("slope, place", [(4, 1.0), (9, 0.4), (2, 3.0)])
def test_wanted_shares_are_found_in_a_few_tries(slope, place):
    def zeros(factor):
        return 1 / (1 + (factor / place) ** -slope)

    found = {}
    for share in (0.8, 0.9):
        while (factor := blocks.next_factor(found, share, 1.0)) is not None:
            assert factor not in found
            found[factor] = zeros(factor)
        assert zeros(blocks.nearest(found, share)) == pytest.approx(share, abs=blocks.NEAR)
    assert len(found) <= blocks.TRIES


def test_a_search_that_finds_nothing_ends():
    found = {}
    while (factor := blocks.next_factor(found, 0.9, 1.0)) is not None:
        found[factor] = 0.5 if factor < 1.2 else 1.0
    assert len(found) <= blocks.TRIES


def test_other_seeds_take_what_the_first_found(tmp_path):
    arguments = SimpleNamespace(results=tmp_path / "blocks.jsonl", net="EventGRU 128", split="test", only="", seeds=2)
    rows = [("threshold 4x4, q 1.0", 0.7), ("threshold 4x4, q 1.4", 0.89), ("threshold 8x8, q 1.0", 0.9)]
    line = '{{"cell": "EventGRU 128 | {}", "seed": 0, "split": "test", "sparsity": {}}}\n'
    arguments.results.write_text("".join(line.format(*row) for row in rows))
    assert blocks.searched("threshold", "4x4", 90, 1, arguments) == "EventGRU 128 | threshold 4x4, q 1.4"
    assert blocks.searched("threshold", "4x4", 90, 0, arguments) == "EventGRU 128 | threshold 4x4, q 1.4"
    tried = blocks.searched("threshold", "4x4", 80, 0, arguments)
    assert 1.0 < blocks.methods.q_factor(tried) < 1.4
