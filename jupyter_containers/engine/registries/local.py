"""Local registries: containers of the bootstrapped registry image, with data in volumes.

A registry is an ordinary container with the label ``io.jupyter.containers.registry``, and all verbs
for containers work on it.  It listens on 127.0.0.1 unless an address is given, and requires a
random password, because every user of the machine can reach that port.  The engine that started it
sends the password itself (:mod:`.registry_logins`).
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.registry_logins import INSIDE, RegistryLogin, new_password
from jupyter_containers.errors import ConflictError, ContainersError, NotFoundError
from jupyter_containers.lazy_dataclasses import dataclass, field

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.context import EngineContext

IMAGE = "registry:2"
LABEL = "io.jupyter.containers.registry"
DATA = "/var/lib/registry"
_PORT = 5000
_READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, repr=False)
class LocalRegistry:
    """A registry that runs here; image names begin with ``address``.

    ``username`` and ``password`` are for other programs, ``headers`` for HTTP requests; all are
    empty if the registry requires no password.
    """

    name: str
    address: str
    volume: str
    container: Container
    username: str = ""
    password: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.address} (container {self.name}, data in volume {self.volume})"

    __repr__ = __str__


class LocalRegistries:
    """The registries that run here: containers with a label, and their passwords."""

    def __init__(self, context: EngineContext, containers: ContainerService) -> None:
        self._context, self._containers = context, containers
        self._passwords = context.settings.layout.registries

    def start(
        self, name: str, image: str, publish: str, volume: str, *, auth: bool
    ) -> LocalRegistry:
        """Run the registry, start a stopped one, or return the running one of that name."""
        with suppress(NotFoundError):
            found = self._containers.get(name)
            if LABEL not in (found.labels or {}):
                raise ConflictError(
                    f"the container {name} is not a registry", hint="choose another --name"
                )
            if found.status != "running":
                self._containers.start(found.id)
            return self._wait_until_ready(name)
        address, _, port = publish.rpartition(":")
        port = "" if port == "0" else port
        ports = f"{port}:{_PORT}" if port else str(_PORT)
        place = f"{address}:{port}:{_PORT}" if address else ports
        volumes, env, password = [f"{volume}:{DATA}"], [], ""
        if auth:
            password, file = new_password(self._passwords, name)
            volumes.append(f"{file}:{INSIDE}:ro")
            env = [f"REGISTRY_AUTH_HTPASSWD_{key}" for key in (f"PATH={INSIDE}", "REALM=registry")]
        self._containers.run(
            image,
            detach=True,
            name=name,
            publish=[place],
            volume=volumes,
            env=env,
            label=[f"{LABEL}={volume}"],
            pull="never",
        )
        if auth:
            self._note(RegistryLogin(self._containers.get(name).id, password))
        return self._wait_until_ready(name)

    def all(self) -> list[LocalRegistry]:
        """Return the registries that run here."""
        return [self._registry_of(each) for each in self._containers(filters={"label": [LABEL]})]

    def stop(self, name: str) -> Container:
        """Stop and remove the registry's container, and delete its password."""
        found = self._containers.get(name)
        if LABEL not in (found.labels or {}):
            raise ConflictError(f"the container {name} is not a registry")
        self._containers.remove(found.id, force=True)
        self._context.registry_logins.delete(found.id)
        (self._passwords / f"{name}.htpasswd").unlink(missing_ok=True)
        return found

    def _note(self, login: RegistryLogin) -> None:
        """Store the login of a registry; delete those of removed containers."""
        logins = self._context.registry_logins
        for one in logins.all():
            if self._context.containers.get(one.id) is None:
                logins.delete(one.id)
        logins.insert(login.id, None, login)

    def _registry_of(self, container: Container) -> LocalRegistry:
        [(address, port), *_] = [
            (published["HostIp"], published["HostPort"])
            for published in container.inspect()["NetworkSettings"]["Ports"][f"{_PORT}/tcp"]
        ]
        host = "localhost" if address in ("127.0.0.1", "0.0.0.0", "") else address  # noqa: S104  # compared
        volume = container.labels.get(LABEL, "")
        login = self._context.registry_logins.get(container.id)
        if login is None:
            return LocalRegistry(container.name, f"{host}:{port}", volume, container)
        return LocalRegistry(
            container.name,
            f"{host}:{port}",
            volume,
            container,
            login.username,
            login.password,
            login.headers,
        )

    def _wait_until_ready(self, name: str) -> LocalRegistry:
        """Wait until the registry answers; else raise with the last lines of its log."""
        registry = self._registry_of(self._containers.get(name))
        host, _, port = registry.address.rpartition(":")
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if _answers(host, int(port)):
                return registry
            if self._containers.get(name).status != "running":
                break
            time.sleep(0.05)
        lines = self._containers.logs(name)
        tail = [line.data.decode("utf-8", "replace").strip() for line in lines][-3:]
        raise ContainersError(
            f"the registry {name} does not answer on {registry.address}", hint=" / ".join(tail)
        )


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
