"""Every lint or type error that is ignored says why, on its own line.

``# noqa: S603  # every argv is a list``: rules by name, two blanks, the reason.  Seen to fail with
the reason of one taken away; when this test came, 27 places of the package had none.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

import jupyter_containers

# As it is installed: the wheel is looked at too.
PACKAGE = Path(jupyter_containers.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (PACKAGE, *(ROOT / name for name in ("tests", "scripts", "docs")))

_IGNORES = re.compile(r"#\s*(noqa|type:\s*ignore|ruff:\s*noqa|mypy:|pragma:\s*no cover)")
_REASONED = re.compile(r"# (noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])  # \S.*\S$")


def unreasoned(source: bytes) -> Iterator[int]:
    """Yield the lines of comments that ignore something without a reason."""
    for token in tokenize.tokenize(BytesIO(source).readline):
        text = token.string if token.type == tokenize.COMMENT else ""
        if _IGNORES.search(text) and not _REASONED.search(text):
            yield token.start[0]


def test_every_ignore_has_its_reason() -> None:
    wrong = [
        f"{file}:{line}"
        for folder in FOLDERS
        for file in sorted(folder.rglob("*.py"))
        if "_build" not in file.parts
        for line in unreasoned(file.read_bytes())
    ]
    assert not wrong, "\n".join([*wrong, "write: # noqa: RULE  # why it does not hold here"])


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa",
        "x = 1  # noqa: S101",
        "x = 1  # noqa: S101 -- because",
        "x = 1  # type: ignore",
        "x = 1  # type: ignore[misc]",
        "# ruff: noqa: E501",
    ],
)
def test_an_ignore_without_a_reason_is_found(line: str) -> None:
    assert [*unreasoned(f"{line}\n".encode())] == [1]


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa: S101  # a test",
        "x = 1  # type: ignore[misc, arg-type]  # no stubs",
        "x = '# noqa'  # a text",
    ],
)
def test_a_reason_is_enough(line: str) -> None:
    assert not [*unreasoned(f"{line}\n".encode())]
