"""Every folder of tests/data/dockerfiles: a Dockerfile, perhaps a context, and what it becomes.

The expected results were compared with BuildKit's own (Docker 20.10) when they were written, with
three exceptions: that BuildKit's frontend knows neither heredocs nor symbolic modes, so
``heredoc_copy``, ``heredoc_run`` and ``symbolic_chmod`` hold what this builder made, checked
against the Dockerfile reference by reading only.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

CASES = Path(__file__).parents[2] / "data" / "dockerfiles"
NAMES = sorted(path.parent.name for path in CASES.glob("*/Dockerfile"))
BASE_FILES = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\ngames:x:5:60::/:/bin/sh\n",
    "etc/group": "staff:x:50:\n",
    "usr/lib": None,
    "lib": "-> usr/lib",
    "app": "-> /etc",
}
IGNORED_HERE = (
    ".git/HEAD", "node_modules/a", "node_modules/keep/b", "node_modules/keep/deep/c",
)  # fmt: skip
BASE_CONFIG = {"Env": ["PATH=/bin"], "Cmd": ["sh"]}


def runner(request: Any, root: Path, on_output: Any) -> int:
    """Leave a trace of the step instead of running it."""
    trace = {"argv": request.argv, "cwd": request.cwd, "env": request.env, "user": request.user}
    with (root / "trace").open("a") as stream:
        stream.write(json.dumps(trace) + "\n")
    return 0


def prepare(bench: Any, case: Path) -> None:
    """Give the bench the case's context, with what a repository cannot hold made here."""
    bench.layers.runner = runner
    bench.image("bb", BASE_CONFIG, BASE_FILES)
    if (case / "context").exists():
        shutil.rmtree(bench.context)
        shutil.copytree(case / "context", bench.context, symlinks=True)
    for path in bench.context.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.name == "x.txt" else 0o644)
    if case.name == "dockerignore":
        # Names that this project's own .gitignore keeps out of the repository.
        for name in IGNORED_HERE:
            bench.write(name, name)
    if case.name == "copy_links":
        os.link(bench.context / "links/h1", bench.context / "links/h2")
    if case.name == "add_archive":
        for name, mode in (("t.tar", "w"), ("t.tar.gz", "w:gz"), ("t.tar.xz", "w:xz")):
            with tarfile.open(bench.context / name, mode) as archive:
                for member in ("a.txt", "d"):
                    archive.add(bench.context / member, member, filter=numbered)


def numbered(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid, member.uname, member.gname, member.mtime = 3, 4, "", "", 7
    return member


def outcome(bench: Any, case: Path) -> dict[str, Any]:
    """Build a case; return what its expected.json holds."""
    prepare(bench, case)
    options_file = case / "options.json"
    options = json.loads(options_file.read_text()) if options_file.exists() else {}
    result = bench.build((case / "Dockerfile").read_text(), **options)
    document = json.loads(msgspec.json.encode(result.config))
    document.setdefault("config", {})
    files = {}
    for path in sorted(bench.root(result).rglob("*")):
        name = str(path.relative_to(bench.root(result)))
        if name in BASE_FILES:
            continue
        status = path.lstat()
        content = ""
        if path.is_symlink():
            content = f" -> {os.readlink(path)}"
        elif stat.S_ISREG(status.st_mode):
            data = path.read_bytes()
            content = f" {data.decode()!r}" if len(data) < 4000 else " …"
        files[name] = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}{content}"
    return {
        "config": document["config"],
        "author": document.get("author", ""),
        "history": [
            ("- " if one.get("empty_layer") else "+ ") + one["created_by"]
            for one in document.get("history", [])
        ],
        "files": files,
        "warnings": [finding.rule.name for finding in result.warnings],
    }


def test_there_are_enough_cases() -> None:
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_outcome(name: str, bench: Any) -> None:
    expected = json.loads((CASES / name / "expected.json").read_text())
    assert outcome(bench, CASES / name) == expected
