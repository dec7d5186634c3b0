"""Where the output of a command is seen, and by whom."""

from __future__ import annotations

import os
from typing import Any, Literal

FrontEnd = Literal["terminal", "page", "none"]


def front_end(shell: Any) -> FrontEnd:
    """Return what shows this shell's output at this moment.

    ``terminal``: IPython in a terminal, which owns the tty.  ``page``: a front end with a person
    at it (JupyterLab, Notebook, VS Code), which can show widgets.  ``none``: nobody is there
    (nbclient, nbconvert, papermill, scripts), so that what needs an answer never gets one.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal" if os.isatty(0) and os.isatty(1) else "none"
    # A front end says with every cell whether someone is there to answer input().
    content = (kernel.get_parent() or {}).get("content") or {}
    return "page" if content.get("allow_stdin") else "none"
