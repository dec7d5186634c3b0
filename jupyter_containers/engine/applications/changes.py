"""Changes of the files that ``develop.watch`` names, found by comparing two snapshots.

A *trigger* is one entry of ``develop.watch``.  A snapshot is the state of every file below its path
that is not ignored; values of :mod:`os.stat` show whether a file has changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.compose.project import Project
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass

MAX_FILES = 100_000
# Version control, and temporary files of editors.
_EPHEMERAL = (
    *(".git", "**/.git", "**/*~", "**/*.swp", "**/*.swo", "**/*.swx", "**/4913"),
    *("**/.#*", "**/#*#", "**/.idea", "**/__pycache__", "**/.ipynb_checkpoints"),
)
_NOTHING = IgnoreRules()
State = tuple[int, int, int, int]
Look = Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One entry of ``develop.watch``: files below ``path``, and the action on a change.

    ``rules`` are ignore patterns, ``context_rules`` those of ``.dockerignore``, relative to
    ``context``; ``included``, if given, narrows the files.
    """

    service: str
    path: str
    action: str
    target: str = ""
    rules: IgnoreRules = _NOTHING
    included: IgnoreRules = _NOTHING
    context: str = ""
    context_rules: IgnoreRules = _NOTHING
    initial_sync: bool = False
    hook: Mapping[str, Any] | None = None

    @property
    def syncs(self) -> bool:
        """True if changed files are copied."""
        return self.action.startswith("sync")

    def target_of(self, path: str) -> str:
        """Return the path of a file in the container."""
        rest = os.path.relpath(path, self.path)
        return self.target if rest == "." else os.path.join(self.target, rest)

    def ignores(self, path: str) -> bool:
        """Return whether changes of a file are ignored."""
        rest = os.path.relpath(path, self.path)
        if rest != "." and self.rules.ignores(rest):
            return True
        if rest != "." and self.included and not self.included.ignores(rest):
            return not os.path.isdir(path)
        if self.context and path.startswith(f"{self.context}/"):
            return self.context_rules.ignores(os.path.relpath(path, self.context))
        return False


def triggers_of(project: Project, services: Sequence[str] = ()) -> list[Trigger]:
    """Return the triggers of the services; raise if there are none."""
    found = []
    for name, model in project.services.items():
        if services and name not in services:
            continue
        context = str((model.get("build") or {}).get("context", ""))
        ignored = _dockerignore(context)
        for item in (model.get("develop") or {}).get("watch", ()):
            if item["action"] == "rebuild" and not model.get("build"):
                raise InvalidArgumentError(
                    f"can't watch service {name!r} with action rebuild without a build context"
                )
            found.append(
                Trigger(
                    name,
                    os.path.normpath(item["path"]),
                    item["action"],
                    item.get("target", ""),
                    IgnoreRules.of((*_EPHEMERAL, *item.get("ignore", ())), "ignore"),
                    IgnoreRules.of(item.get("include", ()), "include"),
                    context,
                    ignored,
                    bool(item.get("initial_sync")),
                    item.get("exec"),
                )
            )
    if not found:
        raise InvalidArgumentError(
            "none of the selected services is configured for watch, consider setting a 'develop' "
            "section"
        )
    return found


def _dockerignore(context: str) -> IgnoreRules:
    path = os.path.join(context, ".dockerignore")
    with suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as file:
        return IgnoreRules.parse(file.read(1 << 20))
    return IgnoreRules()


def look(trigger: Trigger) -> Look:
    """Return a snapshot of a trigger's files; links are not followed."""
    return dict(_walk(trigger))


def _walk(trigger: Trigger) -> Iterator[tuple[str, State]]:
    pending, count = [trigger.path], 0
    while pending:
        path = pending.pop()
        if trigger.ignores(path):
            continue
        try:
            about = os.lstat(path)
            if stat.S_ISDIR(about.st_mode):
                pending += [os.path.join(path, name) for name in os.listdir(path)]
                continue
        except OSError:
            continue  # deleted during the walk
        count += 1
        if count > MAX_FILES:
            raise InvalidArgumentError(
                f"more than {MAX_FILES:,} files are watched below {trigger.path}",
                hint="leave some out with ignore: in develop.watch",
            )
        if stat.S_ISREG(about.st_mode) or stat.S_ISLNK(about.st_mode):
            yield path, (about.st_mtime_ns, about.st_size, about.st_ino, about.st_mode)


def changed(before: Look, after: Look) -> list[str]:
    """Return the paths that were added, changed or deleted, sorted."""
    paths = {path for path, state in after.items() if before.get(path) != state}
    return sorted(paths | (before.keys() - after.keys()))
