"""What a compiler does not see of the C sources."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "tflite"
COLUMNS = 120  # as in .clang-format


@pytest.mark.parametrize("kind", ["c", "h", "cc"])
def test_lines_are_no_longer_than_the_page_is_wide(kind):
    paths = sorted(FOLDER.rglob(f"*.{kind}"))
    assert paths
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            assert len(line) <= COLUMNS, f"{path.relative_to(FOLDER)}:{number} has {len(line)} characters"
            assert line == line.rstrip() and "\t" not in line, f"{path.relative_to(FOLDER)}:{number}"
