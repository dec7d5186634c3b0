"""The kind of front end that shows the output of a command."""

from __future__ import annotations

import os
from typing import Any, Literal

FrontEnd = Literal["terminal", "page", "none"]


def front_end(shell: Any) -> FrontEnd:
    """Return the kind of front end that currently shows this shell's output.

    ``terminal``: IPython in a terminal, which owns the tty.  ``page``: an interactive front end
    (JupyterLab, Notebook, VS Code), which can show widgets.  ``none``: a program without a user
    (nbclient, nbconvert, papermill, scripts), so that questions are never answered.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal" if os.isatty(0) and os.isatty(1) else "none"
    # With every cell a front end declares whether input() can be answered.
    content = (kernel.get_parent() or {}).get("content") or {}
    return "page" if content.get("allow_stdin") else "none"
