"""The code and the commands in README and in the documentation, as they stand, and the links between the pages."""

import importlib.util
import re
import shlex
from pathlib import Path

import keras
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import cli
from keras_sparse_rnn.ops import support

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
BLOCKS = {page: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for page, text in TEXTS.items()}
COMMANDS = {
    page: re.findall(r"(?:python -m keras_sparse_rnn|keras-sparse-rnn) ([a-z][^`\n]*)", t) for page, t in TEXTS.items()
}


def readme_keeps_its_word(names, printed):
    """The sparse network is about as accurate as the dense one, with less than a third of its bytes."""
    accuracies = [float(text) for text in re.findall(r"accuracy ([\d.]+)%", printed)]
    dense, sparse = (int(text.replace(",", "")) for text in re.findall(r"model: ([\d,]+) bytes", printed))
    assert len(accuracies) == 2
    assert min(accuracies) > 95
    assert ksr.sparsity.measure(names["model"]) == pytest.approx(0.9, abs=0.01)
    assert sparse < dense / 3


FURTHER_CHECKS = {"README.md": readme_keeps_its_word}


def of_backend(block):
    """The backend that a block of code is for, by its first line, or None."""
    found = re.match(r"# KERAS_BACKEND=(\w+)\n", block)
    return found and found[1]


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="runs with the whole page")
def test_training_loop_of_this_backend_runs():
    blocks = BLOCKS["docs/train.md"]
    needed = [block for block in blocks[:1] + [b for b in blocks if "def new_model" in b]]
    (loop,) = [block for block in blocks if of_backend(block) == keras.backend.backend()]
    names = {}
    for block in [*needed, loop]:
        exec(block, names)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="pages that convert need the TensorFlow backend")
@pytest.mark.slow_but(page=["README.md", "docs/first_steps_keras.md", "docs/prune_keras.md"])
@pytest.mark.parametrize("page", [page for page in TEXTS if BLOCKS[page]])
def test_code_runs(page, tmp_path, monkeypatch, capsys):
    """The blocks of a page go on from one another."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS[page]:
        if (of_backend(block) or "tensorflow") == "tensorflow":
            exec(block, names)
    FURTHER_CHECKS.get(page, lambda names, printed: None)(names, capsys.readouterr().out)


@pytest.mark.parametrize("page", [page for page in TEXTS if COMMANDS[page]])
def test_commands_are_understood(page):
    for command in COMMANDS[page]:
        cli._parser().parse_args(shlex.split(command, comments=True))


def test_readme_has_the_two_commands():
    assert ".venv/bin/pip install -q -e '.[demo]' && .venv/bin/python -m keras_sparse_rnn demo" in TEXTS["README.md"]
    assert ".venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest" in TEXTS["README.md"]


def test_readme_says_what_the_ops_and_kernels_support():
    assert TEXTS["README.md"] == support.with_tables(TEXTS["README.md"]), "run python -m keras_sparse_rnn.ops.support"


def test_the_tables_of_the_readme_are_narrow():
    cells = [cell for line in TEXTS["README.md"].splitlines() if line.startswith("|") for cell in line.split("|")]
    assert max(len(cell.strip()) for cell in cells) <= 60
    assert "<br>" not in TEXTS["README.md"]


def test_the_picture_of_the_readme_has_every_small_network():
    spec = importlib.util.spec_from_file_location("loss_and_cost", ROOT / "benchmarks/loss_and_cost.py")
    loss_and_cost = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loss_and_cost)
    digits = loss_and_cost.digits(ROOT / "benchmarks/results/small_nets.csv")
    assert {family: len(named) for family, named in digits.items()} == {
        "dense GRU": 11,  # of 12: one loses more than 0.1
        "pruned GRU": 1,  # of 2: one costs more than 10,000 instructions
        "EventGRU": 4,
        "DeltaGRU": 3,
        "LightGRU": 3,
        "FastGRNN": 1,
    }
    assert digits["dense GRU"]["32, 80 ms"] == (2220, 0.058)
    words = loss_and_cost.words(ROOT / "benchmarks/results/blocks_words.csv")
    assert words["pruned GRU"] == {"128, 90 % zeros": (29231, 3.693), "128, 80 % zeros": (49624, 3.68)}
    assert words["dense GRU"]["128"] == (80298, 3.698)


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", TEXTS[page]):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2])
    assert sorted(f"docs/{page}" for page in listed) == sorted(page for page in TEXTS if page != "README.md")


def test_the_layout_is_whole():
    layout = TEXTS["docs/contribute.md"].partition("```\n")[2].partition("```")[0]
    named = set(re.findall(r"[\w.]+(?:/|\.py)", layout))
    for path in (ROOT / "keras_sparse_rnn").iterdir():
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists()):
            assert (f"{path.name}/" if path.is_dir() else path.name) in named
