"""Projects as folders of files with placeholders (`templates/`), filled in by Jinja."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "templates"


def render(template, **values):
    """Returns the text of a file of this folder, such as `"core/ksr_build.h"`, with its placeholders filled in."""
    return _environment().get_template(template).render(values)


def render_folder(folder, models, **values):
    """Renders all files of a template folder.

    A file whose name begins with `MODEL` is written once for each model, with `model` as a value; other files are
    written once. `PROJECT` in a path becomes the value `project`. A file that renders to nothing is not written.

    Args:
        folder: Name of the folder.
        models: The values of each model, objects with at least a `name`.
        **values: Values for all files.

    Returns:
        A dict from paths, relative to the project, to texts.
    """
    texts = {}
    for path in sorted((_FOLDER / folder).rglob("*")):
        if path.is_dir():
            continue
        template = str(path.relative_to(_FOLDER))
        place = str(path.relative_to(_FOLDER / folder)).replace("PROJECT", values["project"])
        if not path.name.startswith("MODEL"):
            texts[place] = render(template, models=models, **values)
            continue
        for model in models:
            texts[place.replace("MODEL", model.name)] = render(template, models=models, model=model, **values)
    return {place: text for place, text in texts.items() if text.strip()}


@cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def columns(figures):
    """Returns the lines of a table with a column for each key.

    Args:
        figures: Dict from headings of columns to lists of `(label, number)`, with the same labels in each.
    """
    rows = list(zip(*figures.values(), strict=True))
    width = max(len(cells[0][0]) for cells in rows)
    lines = [" " * width + "".join(f"{heading:>14}" for heading in figures)]
    return lines + [f"{cells[0][0]:{width}}" + "".join(f"{number:14,.0f}" for _, number in cells) for cells in rows]
