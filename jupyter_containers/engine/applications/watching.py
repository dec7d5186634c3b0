"""``watch``: the actions of ``develop.watch``, executed when files change.

Files are polled a few times a second: a folder of thousands takes milliseconds, and polling needs
no library and meets no kernel limit.  Changes that occur together are applied together.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_containers.engine.applications.changes import (
    Look,
    Trigger,
    changed,
    look,
    triggers_of,
)
from jupyter_containers.engine.applications.translation import hook_flags
from jupyter_containers.engine.applications.view import ProjectView
from jupyter_containers.errors import ContainersError, InUseError
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.application import Application

_LOOK_SECONDS, _QUIET_SECONDS = 0.3, 0.1


class Watching:
    """The applied changes: iterate over it until ``cancel`` or an interrupt."""

    def __init__(
        self,
        application: Application,
        view: ProjectView,
        services: Sequence[str],
        *,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        prune: bool = True,
    ) -> None:
        self._application, self._view, self._emit = application, view, emit
        self._triggers = triggers_of(view.project(), services)
        self._cancel, self._prune = cancel or CancelToken(), prune
        self._looks: list[Look] = [look(one) for one in self._triggers]

    def close(self) -> None:
        """End the iteration."""
        self._cancel.cancel()

    def __iter__(self) -> Iterator[str]:
        for trigger, seen in zip(self._triggers, self._looks, strict=True):
            if trigger.initial_sync and trigger.syncs:
                self._sync(trigger, sorted(seen))
        while not self._cancel.wait(_LOOK_SECONDS):
            found = self._changes()
            if found:
                yield from self._carry_out(found)

    def _changes(self) -> list[tuple[Trigger, list[str]]]:
        """Return the changes since the last poll, once no more occur."""
        before = self._looks
        after = [look(one) for one in self._triggers]
        if after == before:
            return []
        while not self._cancel.wait(_QUIET_SECONDS):
            later = [look(one) for one in self._triggers]
            if later == after:
                break
            after = later
        self._looks = after
        found = [
            (trigger, changed(old, new))
            for trigger, old, new in zip(self._triggers, before, after, strict=True)
        ]
        return [(trigger, paths) for trigger, paths in found if paths]

    def _carry_out(self, found: Sequence[tuple[Trigger, list[str]]]) -> Iterator[str]:
        rebuilt = list(dict.fromkeys(one.service for one, _ in found if one.action == "rebuild"))
        if rebuilt:
            yield f"Rebuilding service(s) {_quoted(rebuilt)} after changes were detected..."
            try:
                self._rebuild(rebuilt)
            except ContainersError as error:
                yield f"Failed to rebuild: {error.message}"
            else:
                yield f"service(s) {_quoted(rebuilt)} successfully built"
        restarted: dict[str, None] = {}
        for trigger, paths in found:
            if trigger.service in rebuilt:
                continue
            try:
                if trigger.syncs:
                    self._sync(trigger, paths)
                    self._run_hook(trigger)
                    count = len(paths)
                    yield (
                        f'Syncing service "{trigger.service}" after {count} changes were detected'
                    )
            except ContainersError as error:
                yield f"Failed to sync: {error.message}"
                continue
            if trigger.action in ("restart", "sync+restart"):
                restarted[trigger.service] = None
        if restarted:
            self._application.restart(*restarted, emit=self._emit)
            yield f"service(s) {_quoted(list(restarted))} restarted"

    def _rebuild(self, services: Sequence[str]) -> None:
        project = self._view.project()
        images = self._view.nouns.images
        before = {name: images.get(project.image(name)).id for name in services}
        self._application.build(*services, emit=self._emit)
        self._application.up(*services, no_deps=True, emit=self._emit)
        for name, image in before.items() if self._prune else ():
            if images.get(project.image(name)).id != image:
                with suppress(InUseError, LookupError):
                    images.remove(image)

    def _sync(self, trigger: Trigger, paths: Sequence[str]) -> None:
        archive, gone = _archive(trigger, paths)
        containers = self._view.nouns.containers
        for container in self._view.of_services(self._view.project(), [trigger.service], all=False):
            if gone:
                containers.exec(container.id, ["rm", "-rf", "--", *gone], check=False)
            if archive:
                containers.copy("-", f"{container.id}:/", stdin=archive)

    def _run_hook(self, trigger: Trigger) -> None:
        if trigger.action != "sync+exec" or not (trigger.hook or {}).get("command"):
            return
        assert trigger.hook is not None
        for container in self._view.of_services(self._view.project(), [trigger.service], all=False):
            self._view.nouns.containers.exec(
                container.id, trigger.hook["command"], **hook_flags(trigger.hook)
            )


def _archive(trigger: Trigger, paths: Sequence[str]) -> tuple[bytes, list[str]]:
    """Return existing files as a tar of the container's root, and the paths of missing ones."""
    data, gone = io.BytesIO(), []
    count = 0
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path in paths:
            target = trigger.target_of(path)
            try:
                archive.add(path, arcname=target.lstrip("/"), recursive=False, filter=_bare)
                count += 1
            except FileNotFoundError:
                gone.append(target)
            except OSError:
                continue  # it is changing: the next poll sees it
    return (data.getvalue() if count else b""), gone


def _bare(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a tar entry owned by the container's root."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode &= 0o777
    return entry


def _quoted(names: Sequence[str]) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"
