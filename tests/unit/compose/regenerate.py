"""Freeze Docker Compose's results of the cases: python -m tests.unit.compose.regenerate PROGRAM.

PROGRAM is a docker-compose of version 2.40.3; it needs no daemon for ``config``.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.unit.compose.cases import Case, cases

ANSWERS = Path(__file__).parents[2] / "data" / "compose" / "answers.json"
FOLDER = "app"
HOME = "/home/somebody"


def write(case: Case, folder: Path) -> None:
    for name, text in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def environment(case: Case) -> dict[str, str]:
    return {"HOME": HOME, **case.environment}


def answer(program: str, case: Case, workspace: Path) -> dict[str, Any]:
    folder = workspace / FOLDER
    folder.mkdir(parents=True)
    write(case, folder)
    words = [program]
    for name in case.given:
        words += ["-f", name]
    for name in case.profiles:
        words += ["--profile", name]

    def ask(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: PLW1510  # a refusal is an answer
            [*words, "config", *more],
            cwd=folder,
            env=environment(case),
            capture_output=True,
            text=True,
        )

    shown = ask("--format", "json")
    if shown.returncode:
        return {"error": shown.stderr.strip().splitlines()[-1].replace(str(workspace), "@")}
    text = shown.stdout.replace(str(workspace), "@")
    if not text.strip():
        return {"error": f"no JSON: {shown.stderr.strip()[-200:]}"}
    found: dict[str, Any] = {"json": json.loads(text)}
    if case.whole:
        found["yaml"] = ask().stdout.replace(str(workspace), "@")
    if case.whole and str(workspace) not in shown.stdout:
        lines = ask("--hash", "*").stdout.splitlines()
        found["hash"] = dict(line.split(" ") for line in lines)
    return found


def main() -> None:
    program = os.path.abspath(sys.argv[1])
    with (
        tempfile.TemporaryDirectory() as workspace,
        concurrent.futures.ThreadPoolExecutor(3) as pool,
    ):
        futures = {
            name: pool.submit(answer, program, case, Path(workspace) / name)
            for name, case in cases().items()
        }
        found = {name: future.result() for name, future in futures.items()}
    ANSWERS.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
    print(len(found), "cases,", sum("error" in one for one in found.values()), "refused")


if __name__ == "__main__":
    main()
