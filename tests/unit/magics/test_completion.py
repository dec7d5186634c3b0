from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.magics.cell import dockerfile_verb
from jupyter_containers.magics.completion import completions


def names(kind: str) -> list[str]:
    return {"image": ["busybox:latest"], "container": ["web"]}.get(kind, [])


def at_cursor(text: str) -> tuple[str, list[str]] | None:
    """Complete where the bar is."""
    before, _, after = text.partition("|")
    line = before.count("\n")
    column = len(before.rpartition("\n")[2])
    return completions(before + after, line, column, names, dockerfile_verb)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%container stop|", ("stop", ["stop"])),
        ("%container stop |", ("", ["web"])),
        ("x = 1\n%container stop w|", ("w", ["web"])),
        ("found = %container logs w|", ("w", ["web"])),
        ("%docker stop w|", ("w", ["web"])),
        ("%container docker stop w|", ("w", ["web"])),
        ("%%container\n$ sudo docker stop w|\nps", ("w", ["web"])),
        ("%%container\nstop w|\nps", ("w", ["web"])),
        ("%%container run bu|\necho", ("bu", ["busybox:latest"])),
        ("%%dockerfile --no-c|", ("--no-c", ["--no-cache", "--no-cache-filter"])),
        ("%%dockerfile --ou|", ("--ou", ["--out", "--output"])),
        ("%%dockerfile -t x\nFROM bu|", ("bu", ["busybox:latest"])),
        ("%%dockerfile -t x\nFROM busybox AS one\nCOPY --from=o|", ("--from=o", ["--from=one"])),
        ("%%compose --int|", ("--int", ["--interpolate"])),
        ("%%compose -p shop --bui|", ("--bui", ["--build"])),
        ("%%compose -p shop dow|", ("dow", ["down"])),
        ("%%compose down --vol|", ("--vol", ["--volumes"])),
        ("%%compose\nservices:\n  web:\n    image: bu|", ("bu", ["busybox:latest"])),
        ("%%compose\nservices:\n  web:\n    heal|\nvolumes:", ("heal", ["healthcheck:"])),
        ("%%container run busybox\nstop w|", None),
        ("print('%container stop w|", None),
        ("stop w|", None),
        ("|", None),
    ],
)
def test_completion_in_cells(text: str, expected: Any) -> None:
    assert at_cursor(text) == expected
