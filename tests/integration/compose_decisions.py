"""Changes of a Compose file, and what Docker Compose does about each: asked and frozen.

``python -m tests.integration.compose_decisions PROGRAM`` asks a docker-compose 2.40.3 with the
dockerd of ``DOCKER_HOST``, which has an image ``busybox``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ANSWERS = Path(__file__).parents[1] / "data" / "compose" / "decisions.json"
BASE = """\
services:
  web:
    image: busybox
    command: sleep 100
    depends_on: {db: {condition: service_started, restart: true}}
    volumes: [data:/data, /anon]
    networks: [front]
    stop_grace_period: 0s
  db:
    image: busybox
    command: sleep 100
    networks: [front]
    stop_grace_period: 0s
  side:
    image: busybox
    command: sleep 100
    network_mode: "service:web"
    stop_grace_period: 0s
networks: {front: }
volumes: {data: }
"""
_LESS = (BASE[BASE.index("  side:") : BASE.index("networks: {front")], "")
# In this order: a name, the replacements in the file, flags and services of ``up -d``.
CHANGES: list[tuple[str, tuple[str, str], str]] = [
    ("first", ("", ""), ""),
    ("the same", ("", ""), ""),
    ("a variable", ("  db:\n", "  db:\n    environment: [A=1]\n"), ""),
    ("back", ("", ""), ""),
    ("a label", ("  web:\n", "  web:\n    labels: {x: y}\n"), ""),
    ("no restart with another", (", restart: true", ""), ""),
    ("two of one", ("  db:\n", "  db:\n    scale: 2\n"), ""),
    ("one again", ("", ""), ""),
    ("a network's label", ("{front: }", "{front: {labels: {a: b}}}"), ""),
    ("another mount", ("data:/data,", "data:/data, 'data:/more',"), ""),
    ("forced", ("", ""), "--force-recreate web"),
    ("forced alone", ("", ""), "--force-recreate --no-deps db"),
    ("dependencies too", ("", ""), "--always-recreate-deps web"),
    ("a service less", _LESS, ""),
    ("without orphans", _LESS, "--remove-orphans"),
    ("kept as it is", ("sleep 100", "sleep 101"), "--no-recreate"),
]


def changed(change: tuple[str, str]) -> str:
    """Return the file after a change."""
    return BASE.replace(*change) if change[0] else BASE


def main() -> None:
    """Freeze the actions of a docker-compose."""
    answers: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.argv[1], "--project-name", "asked", "--progress", "plain"]
        for name, change, flags in CHANGES:
            (Path(folder) / "compose.yaml").write_text(changed(change))
            done = subprocess.run(
                [*words, "up", "-d", *flags.split()],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            lines = {line.strip() for line in done.stderr.splitlines() if line.startswith(" ")}
            answers[name] = sorted(lines)
        subprocess.run([*words, "down", "-v", "--remove-orphans"], cwd=folder, check=True)
    ANSWERS.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
