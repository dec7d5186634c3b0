"""The course: the notebooks of the repository as pages of the site."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_INDEX = """# {title}

{words}

```{{toctree}}
:maxdepth: 1

{pages}
```
"""
_WORDS = """Every notebook runs by itself in a few minutes, with or without the internet, as root or
not; each ends with exercises and cells that check them. These pages are for reading; to run
them, open the folder `notebooks/` in JupyterLab."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", lambda app: copy(Path(app.srcdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy(docs: Path) -> None:
    """Copy the notebooks to ``docs/course`` and write its index."""
    source, target = docs.parent / "notebooks", docs / "course"
    shutil.rmtree(target, ignore_errors=True)
    for folder, title in (("", "The course"), ("zh", "课程")):
        place = target / folder
        found = sorted((source / folder).glob("[0-9]*.ipynb"))
        if not found:
            continue
        place.mkdir(parents=True)
        for notebook in found:
            shutil.copy(notebook, place)
        pages = [notebook.stem for notebook in found]
        if not folder and (source / "zh").is_dir():
            pages.append("zh/index")
        text = _INDEX.format(title=title, words="" if folder else _WORDS, pages="\n".join(pages))
        (place / "index.md").write_text(text)
