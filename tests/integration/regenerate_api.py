"""Freeze the shapes of a dockerd's answers: ``python -m tests.integration.regenerate_api SOCKET…``.

The first socket belongs to the newest Docker available, the second to an older Docker that answers
the requests which the first could not (``top`` needs a ps on its machine).  Each daemon was started
for this, in separate network and mount namespaces, and has only the image ``api_cases.BOX`` (a
busybox).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.integration.api_answers import FROZEN, ask_all
from tests.integration.api_cases import cases


def main(sockets: list[str]) -> int:
    found, *older = (ask_all(Path(path), cases()) for path in sockets)
    for one in older:
        found |= {name: one[name] for name in ("top", "top-args", "top-bad")}
    FROZEN.parent.mkdir(exist_ok=True)
    FROZEN.write_text(_lines(found))
    sys.stdout.write(f"{len(found)} answers\n")
    return 0


def _lines(found: dict[str, object]) -> str:
    """Return an object with a line for each case, so that a comparison shows which has changed."""
    pairs = [f"{json.dumps(name)}: {json.dumps(found[name], sort_keys=True)}" for name in found]
    return "{\n" + ",\n".join(pairs) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
