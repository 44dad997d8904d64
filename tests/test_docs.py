"""The code and the commands in README and in the documentation, as they stand, and the links between the pages."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
BLOCKS = {page: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for page, text in TEXTS.items()}
COMMANDS = {
    page: re.findall(r"(?:python -m keras_sparse_rnn|keras-sparse-rnn) ([a-z][^`\n]*)", t) for page, t in TEXTS.items()
}


def readme_keeps_its_word(names, folder):
    for variable in names["events"].cell.kernel, names["events"].cell.recurrent_kernel:
        assert np.mean(keras.ops.convert_to_numpy(variable) == 0) == pytest.approx(0.9, abs=0.01)
    assert names["packed"] < names["dense"] / 5
    assert (folder / "model.tflite").stat().st_size < 4000


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
@pytest.mark.parametrize("page", [page for page in TEXTS if BLOCKS[page]])
def test_code_runs(page, tmp_path, monkeypatch):
    """The blocks of a page go on from one another."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS[page]:
        if (of_backend(block) or "tensorflow") == "tensorflow":
            exec(block, names)
    FURTHER_CHECKS.get(page, lambda names, folder: None)(names, tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the page is TensorFlow's")
@pytest.mark.parametrize("seed", range(3))
def test_the_example_of_the_readme_learns(seed):
    """It is as accurate as the README says on data that it has not seen, before it is pruned and after."""
    names = {}
    keras.utils.set_random_seed(seed)
    exec(BLOCKS["README.md"][0].partition("ksr.convert(")[0], names)
    assert names["accuracy"][2] > 0.97
    x, y = names["sweeps"](2000)
    assert np.mean(names["model"].predict(x, verbose=0).argmax(axis=1) == y) > 0.96
    assert ksr.sparsity.measure(names["model"]) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("page", [page for page in TEXTS if COMMANDS[page]])
def test_commands_are_understood(page):
    for command in COMMANDS[page]:
        cli._parser().parse_args(shlex.split(command, comments=True))


def test_readme_has_the_two_commands():
    assert ".venv/bin/pip install -q -e '.[demo]' && .venv/bin/python -m keras_sparse_rnn demo" in TEXTS["README.md"]
    assert ".venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest" in TEXTS["README.md"]


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
