"""Data exchange: values into a container, and results out of it, through two folders.

``/data/in`` (read-only) has a file for every input; results are read from ``/data/out/NAME``, with
a suffix that says the format.  The variables ``$NAME`` in the container's environment hold an
input's path, and a result's path without the suffix.  A Python script instead finds the inputs as
variables and sets the results as variables (:mod:`.inside_python`).

Lifecycle: the folders are created before the container and removed after its end; the next exchange
removes those that a killed process left behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.engine.containers import inside_python, value_files
from jupyter_containers.engine.containers.result_files import Budget, read_value
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.errors import (
    InvalidArgumentError,
    ResultNotFoundError,
    StorageError,
    VerificationError,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import json, shutil, tempfile
from jupyter_containers.options import MountRequest, RunOptions
from jupyter_containers.store.owner import Owner
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root

IN, OUT = "/data/in", "/data/out"
_TOOLS = ".exchange"
# Variables that programs depend on are never overridden by an exchanged name.
_KEPT = frozenset({"PATH", "HOME", "HOSTNAME", "TERM", "LD_PRELOAD", "LD_LIBRARY_PATH"})


@dataclass(frozen=True, slots=True)
class Request:
    """The values that one run exchanges.

    ``inputs`` are values by name; a name may be ``NAME=PATH`` to choose the file (below
    ``/data/in``, or anywhere when absolute).  ``results`` are names.  ``script`` is Python text
    for the command, which is its interpreter.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    results: Sequence[str] = ()
    script: str | None = None

    def __bool__(self) -> bool:
        return bool(self.inputs or self.results or self.script is not None)


class Exchange:
    """The folders of one run, as a context manager; does nothing if nothing is exchanged.

    ``limit`` is the maximum number of bytes of results that are read.
    """

    def __init__(self, parent: Path, request: Request, limit: int) -> None:
        self._parent, self._request, self._limit = parent, request, limit
        self._folder: Path | None = None

    def __enter__(self) -> Exchange:
        if self._request:
            sweep(self._parent)
            try:
                self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                name = tempfile.mkdtemp(prefix=f"{Owner.current()}.", dir=self._parent)
            except OSError as error:
                raise StorageError(f"cannot create a folder in {self._parent}: {error}") from error
            self._folder = Path(name)
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            with deferred():
                shutil.rmtree(self._folder, ignore_errors=True)

    def applied(self, options: RunOptions) -> RunOptions:
        """Return the options with the folders mounted, after writing all values."""
        if self._folder is None:
            return options
        if options.detach or (options.tty and options.interactive):
            raise InvalidArgumentError(
                "inputs and results need a container in the foreground, without a terminal",
                hint="omit -d and -t, or mount a folder with -v",
            )
        inside, outside = self._folder / "in", self._folder / "out"
        tools = inside / _TOOLS
        tools.mkdir(parents=True)
        outside.mkdir()
        # The container's user may be any; other users of the host cannot enter the folder above.
        outside.chmod(0o777)
        mounts = [MountRequest("bind", IN, str(inside), read_only=True)]
        mounts.append(MountRequest("bind", OUT, str(outside)))
        plan: list[dict[str, Any]] = []
        env: dict[str, str] = {}
        for name, value in self._request.inputs.items():
            entry, more = self._write_input(inside, name, value)
            plan.append(entry)
            mounts += more
            env[entry["name"]] = entry["path"]
        for name in self._request.results:
            env[_check_name(name)] = f"{OUT}/{name}"
        if self._request.script is not None:
            options = self._with_script(options, tools, plan)
        for path in (inside, *self._folder.glob("in/**/*"), *self._folder.glob("elsewhere/*/*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        given = (f"{name}={path}" for name, path in env.items() if name not in _KEPT)
        return msgspec.structs.replace(
            options, mounts=(*mounts, *options.mounts), env=(*given, *options.env)
        )

    def _write_input(
        self, inside: Path, spelling: str, value: Any
    ) -> tuple[dict[str, Any], list[MountRequest]]:
        """Write one value; return its entry of the plan and the mounts it needs."""
        name, _, wanted = spelling.partition("=")
        usual = value_files.file_name(_check_name(name), value)
        path = os.path.normpath(os.path.join(IN, wanted or usual))
        below = path.startswith(f"{IN}/")
        if not below and not wanted.startswith("/"):
            raise InvalidArgumentError(f"{spelling}: the path leaves {IN}")
        # An input elsewhere in the container is written beside the folder and mounted.
        beside = inside.parent / "elsewhere"
        file = inside / path[len(IN) + 1 :] if below else beside / name / os.path.basename(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            raise InvalidArgumentError(f"two inputs have the same file: {path}")
        entry = {"name": name, "path": path, "kind": "path", "index": 0}
        if value_files.kind_of(value) == "path":
            source = Path(value).absolute()
            if not source.exists():
                raise InvalidArgumentError(f"{name}: no such file: {source}")
            if below:  # the mount point
                file.mkdir() if source.is_dir() else file.touch()
            return entry, [MountRequest("bind", path, str(source), read_only=True)]
        written = value_files.write(name, value, file)
        entry |= {"kind": written.kind, "index": written.index}
        return entry, [] if below else [MountRequest("bind", path, str(file), read_only=True)]

    def _with_script(
        self, options: RunOptions, tools: Path, plan: list[dict[str, Any]]
    ) -> RunOptions:
        about = {
            "inputs": plan,
            "results": list(self._request.results),
            "folder": OUT,
            "parquet": value_files.reads_parquet(),
        }
        (tools / "plan.json").write_text(json.dumps(about), encoding="utf-8")
        (tools / "cell.py").write_text(self._request.script or "", encoding="utf-8")
        shutil.copyfile(inside_python.__file__, tools / "run.py")
        interpreter = (*(options.entrypoint or ()), *options.command) or ("python3",)
        command = (*interpreter[1:], f"{IN}/{_TOOLS}/run.py")
        # The script is a program by itself, not an argument of the image's entrypoint.
        return msgspec.structs.replace(options, entrypoint=interpreter[:1], command=command)

    def results(self) -> dict[str, Any]:
        """Return the results by name, read from the container's files.

        Raises :class:`ResultNotFoundError` for a missing result, :class:`VerificationError` for an
        invalid one or for more bytes than the limit.
        """
        if self._folder is None or not self._request.results:
            return {}
        with Root(self._folder / "out") as root:
            hints = _hints(root)
            names = at.names(root.descriptor)
            budget = Budget(self._limit)
            return {
                name: _result(root, name, names, hints.get(name, {}), budget)
                for name in self._request.results
            }


def _check_name(name: str) -> str:
    if not name.isidentifier():
        raise InvalidArgumentError(
            f"{name!r} is not a variable's name", hint="write -i NAME, -i NAME=FILE or -o NAME"
        )
    return name


def _hints(root: Root) -> dict[str, dict[str, Any]]:
    """Return the hints about results that the program inside wrote; they are untrusted."""
    with suppress(ValueError):
        hints = json.loads(root.read_text(inside_python.HINTS))
        if isinstance(hints, dict):
            return {name: hint for name, hint in hints.items() if isinstance(hint, dict)}
    return {}


def _result(
    root: Root, name: str, names: Sequence[str], hints: Mapping[str, Any], budget: Budget
) -> Any:
    found = [each for each in names if each == name or each.partition(".")[0] == name]
    if not found:
        others = ", ".join(each for each in names if not each.startswith("."))
        raise ResultNotFoundError(
            f"the container left no result {name}",
            hint=f"write it to {OUT}/{name}.csv (or .parquet, .json, .npy, .txt, …)"
            + (f"; there is {others}" if others else ""),
        )
    if len(found) > 1:
        raise VerificationError(
            f"the container left several results {name}: {', '.join(found)}",
            hint="write only one of them, or give each its own name",
        )
    return read_value(root.descriptor, found[0], hints, budget)


def sweep(parent: Path) -> None:
    """Remove the folders of dead processes."""
    for folder in parent.iterdir() if parent.is_dir() else ():
        owner = Owner.parse(folder.name.partition(".")[0])
        if owner is None or not owner.alive:
            shutil.rmtree(folder, ignore_errors=True)
