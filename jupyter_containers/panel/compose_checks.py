"""What is to be said about a Compose file while somebody writes it."""

from __future__ import annotations

import os

from jupyter_containers.compose.editing.findings import Checked, find
from jupyter_containers.compose.loading import NAMES
from jupyter_containers.panel.messages import Squiggle


def compose_squiggles(text: str, path: str = "") -> list[Squiggle]:
    """Return the findings in a cell's text, or in that of the file at ``path``.

    A file that the kernel does not find is checked without the files that it names. A cell's folder
    is the kernel's. A file of another name than Compose looks for may be laid over others.
    """
    folder = os.getcwd()
    if path:
        file = os.path.abspath(os.path.expanduser(path))
        folder = os.path.dirname(file) if os.path.isfile(file) else ""
    partial = bool(path) and os.path.basename(path) not in NAMES
    return [
        Squiggle("", one.message, one.line + 1, one.line + 1, one.is_error, one.column, one.length)
        for one in find(Checked(text, folder, partial))
    ]
