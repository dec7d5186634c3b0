"""Runs a module of this package as a program: its ``main`` in a separate Python."""

from __future__ import annotations

import sys
from pathlib import Path

# Not "-m": the folder from which this package was loaded need not be on the default path.
_PROGRAM = "import sys; sys.path[:0] = [{folder!r}]; from {module} import main; sys.exit(main())"


def self_exec_command(module: str, *words: str) -> tuple[str, ...]:
    """Return the command that calls ``main()`` of a module, with ``words`` in ``sys.argv``."""
    folder = str(Path(__file__).resolve().parents[2])
    return (sys.executable, "-P", "-c", _PROGRAM.format(folder=folder, module=module), *words)
