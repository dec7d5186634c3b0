"""From a recipe to a running container with its proxy, and back to nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.sessions.packages import (
    Manager,
    installation,
    proxy_variables,
)
from jupyter_containers.errors import ContainersError, SessionEndedError
from jupyter_containers.events import EventSink, discard
from jupyter_containers.options.values import parse_labels
from jupyter_containers.store.owner import Owner

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.sessions.branches import Snapshot
    from jupyter_containers.engine.sessions.egress import Egress
    from jupyter_containers.engine.sessions.recipe import Recipe
    from jupyter_containers.engine.sessions.session import Session

LABEL, OWNER = "jupyter-containers.session", "jupyter-containers.session.owner"
# The main process: ends at once on request, and reaps orphans of the cells.
_WAIT = 'trap "exit 0" TERM; while :; do sleep 86400 & wait $!; done'
_INSTALL_PORT = 3129


@dataclass(slots=True)
class Launched:
    """A running container of a session, and what ends with it."""

    containers: ContainerService
    container: str
    name: str
    recipe: Recipe
    egress: Egress | None = None
    snapshot: Snapshot | None = None  # removed with the container

    @property
    def refusals(self) -> int:
        """The number of connections that its proxy has refused."""
        return 0 if self.egress is None else self.egress.count

    def refused_since(self, number: int) -> tuple[str, ...]:
        """Return the connections that were refused after so many, each once, as sentences."""
        return () if self.egress is None else tuple(map(str, self.egress.refused_since(number)))

    def remove(self) -> None:
        """Remove the container."""
        with suppress(ContainersError):  # it may be gone already
            self.containers.remove(self.container, force=True, volumes=True)
        if self.egress is not None:
            self.egress.close()
        if self.snapshot is not None:
            self.snapshot.remove()


class Launcher:
    """Starts the containers of sessions."""

    def __init__(
        self,
        containers: ContainerService,
        session_of: Callable[[Launched], Session],
        proxy: Callable[..., Egress] | None = None,
    ) -> None:
        self.containers, self._session_of, self._proxy = containers, session_of, proxy

    def launch(self, recipe: Recipe, emit: EventSink = discard) -> Launched:
        """Start the container of a session."""
        flags = dict(recipe.flags)
        labels = {**parse_labels(flags.pop("label", None) or ()), OWNER: str(Owner.current())}
        labels[LABEL] = recipe.language
        if recipe.allow is not None:
            from jupyter_containers.engine.sessions.egress import PORT

            env = flags.get("env") or ()
            given = [env] if isinstance(env, str) else list(env)
            flags["env"] = [*given, *proxy_variables(f"http://127.0.0.1:{PORT}")]
        flags |= {"detach": True, "rm": True, "label": labels, "entrypoint": "/bin/sh"}
        found: Any = self.containers.run(recipe.image, ["-c", _WAIT], emit=emit, **flags)
        container: Container = found  # detached
        launched = Launched(self.containers, container.id, container.name, recipe)
        try:
            if recipe.allow is not None:
                launched.egress = self._open(launched, recipe.allow)
        except BaseException:
            launched.remove()
            raise
        return launched

    def branch(self, snapshot: Snapshot, name: str | None, *, owned: bool) -> Session:
        """Return a session on a snapshot, whose process is starting."""
        launched = self.launch(snapshot.recipe.on(snapshot.image.id, name))
        try:
            snapshot.bring(self.containers, launched.container)
        except BaseException:
            launched.remove()
            raise
        session = self._session_of(launched)
        try:
            session.begin()
        except BaseException:
            session.stop()
            raise
        if owned:
            launched.snapshot = snapshot
        return session

    def again(self, launched: Launched, snapshot: Snapshot) -> Launched:
        """Return another container under the same name, on a snapshot."""
        found = self.launch(launched.recipe.on(snapshot.image.id, launched.name))
        try:
            snapshot.bring(self.containers, found.container)
        except BaseException:
            found.remove()
            raise
        return found

    def install(
        self,
        launched: Launched,
        packages: Sequence[str],
        manager: Manager,
        index: str,
        timeout: float | None,
    ) -> None:
        """Install packages in a container; see :meth:`Session.install`."""
        plan = installation(packages, manager, index)
        egress, env = None, list(plan.env)
        if launched.recipe.flags.get("network") == "none":
            egress = self._open(launched, plan.hosts, _INSTALL_PORT)
            env += proxy_variables(f"http://127.0.0.1:{_INSTALL_PORT}")
        # The runtime has no time limit: the end of the container ends its commands.
        guard = None if timeout is None else threading.Timer(timeout, self._end, (launched,))
        try:
            if guard is not None:
                guard.daemon = True
                guard.start()
            self.containers.exec(launched.container, plan.command, env=env)
        except ContainersError as error:
            if egress is not None and not error.hint:
                error.hint = "; ".join(map(str, egress.refused_since(0)))
            if guard is not None and guard.finished.is_set():
                raise SessionEndedError(
                    f"the installation took longer than {timeout:g} s, and the session was ended"
                ) from error
            raise
        finally:
            if guard is not None:
                guard.cancel()
            if egress is not None:
                egress.close()

    def _end(self, launched: Launched) -> None:
        with suppress(ContainersError):
            self.containers.kill(launched.container)

    def _open(self, launched: Launched, hosts: Sequence[str], port: int = 0) -> Egress:
        from jupyter_containers.engine.sessions.allowlist import AllowList
        from jupyter_containers.engine.sessions.egress import PORT, Egress

        allow = AllowList.of(hosts)
        listener = self.containers.listen(launched.container, port or PORT)
        return (self._proxy or Egress)(listener, allow)


def remove_abandoned(containers: ContainerService) -> None:
    """Remove the containers of sessions whose Python process is dead."""
    for container in containers.list(all=True, filters={"label": [OWNER]}):
        owner = Owner.parse(container.labels.get(OWNER, ""))
        if owner is not None and not owner.alive:
            try:
                containers.remove(container.id, force=True, volumes=True)
            except ContainersError:
                continue  # another engine removes it
