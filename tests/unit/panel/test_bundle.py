from __future__ import annotations

import gzip
from pathlib import Path

import jupyter_containers

MOST_BYTES = 500_000


def test_what_a_page_loads_is_small() -> None:
    """The size of JupyterLab's extension, and of each widget (they are loaded separately)."""
    package = Path(jupyter_containers.__file__).parent
    extension = sorted((package / "labextension/static").glob("*.js"))
    assert extension, "scripts/setup builds it"
    assert sum(compressed(path) for path in extension) <= MOST_BYTES
    for path in (package / "widgets/static").glob("*.js"):
        assert compressed(path) <= MOST_BYTES, path.name


def compressed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))
