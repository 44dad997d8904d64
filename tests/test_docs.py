"""The code in the documentation runs, page by page, as it stands."""

import re
from pathlib import Path

import keras
import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
BLOCKS = {page: re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL) for page in PAGES}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="pages that convert need the TensorFlow backend")
@pytest.mark.parametrize("page", [page for page in PAGES if BLOCKS[page]], ids=lambda page: page.stem)
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS[page]:
        exec(block, names)
    models = [value for value in names.values() if isinstance(value, keras.Model)]
    assert models, f"{page.name} shows no model"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
