"""A registry of one's own: a container of the bootstrapped registry image, its data in a volume.

It is an ordinary container with the label ``io.jupyter.containers.registry``, and all that works on
containers works on it.  It listens on 127.0.0.1 unless an address is given, and asks for a random
password: every user of the machine reaches that port.  The engine that started it presents the
password itself (:mod:`.registry_logins`).
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.registry_logins import INSIDE, RegistryLogin, new_password
from jupyter_containers.errors import ConflictError, ContainersError, NotFoundError

if TYPE_CHECKING:
    from jupyter_containers.engine.api.registries import RegistriesAPI

IMAGE = "registry:2"
LABEL = "io.jupyter.containers.registry"
DATA = "/var/lib/registry"
_PORT = 5000
_READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, repr=False)
class LocalRegistry:
    """A registry that runs here; ``address`` is what image names begin with.

    ``username`` and ``password`` are for other programs, ``headers`` for HTTP requests; all are
    empty for a registry that asks for none.
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


def start(
    engine: RegistriesAPI, name: str, image: str, publish: str, volume: str, *, auth: bool
) -> LocalRegistry:
    """Run the registry, or start the stopped one, or return the running one of that name."""
    with suppress(NotFoundError):
        found = engine.container(name)
        if LABEL not in (found.labels or {}):
            raise ConflictError(
                f"the container {name} is not a registry", hint="choose another --name"
            )
        if found.status != "running":
            engine.start(found.id)
        return _ready(engine, name)
    address, _, port = publish.rpartition(":")
    port = "" if port == "0" else port
    place = f"{address}:{port}:{_PORT}" if address else f"{port}:{_PORT}" if port else str(_PORT)
    volumes, env, password = [f"{volume}:{DATA}"], [], ""
    if auth:
        password, file = new_password(engine.settings.root / "registries", name)
        volumes.append(f"{file}:{INSIDE}:ro")
        env = [f"REGISTRY_AUTH_HTPASSWD_{key}" for key in (f"PATH={INSIDE}", "REALM=registry")]
    engine.run(
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
        engine.note_registry_login(RegistryLogin(engine.container(name).id, password))
    return _ready(engine, name)


def running(engine: RegistriesAPI) -> list[LocalRegistry]:
    """Return the registries that run here."""
    return [_described(engine, each) for each in engine.containers(filters={"label": [LABEL]})]


def stop(engine: RegistriesAPI, name: str) -> Container:
    """Stop and remove the registry's container."""
    found = engine.container(name)
    if LABEL not in (found.labels or {}):
        raise ConflictError(f"the container {name} is not a registry")
    engine.remove(found.id, force=True)
    engine.forget_registry_login(found.id)
    (engine.settings.root / "registries" / f"{name}.htpasswd").unlink(missing_ok=True)
    return found


def _described(engine: RegistriesAPI, container: Container) -> LocalRegistry:
    [(address, port), *_] = [
        (published["HostIp"], published["HostPort"])
        for published in container.inspect()["NetworkSettings"]["Ports"][f"{_PORT}/tcp"]
    ]
    host = "localhost" if address in ("127.0.0.1", "0.0.0.0", "") else address  # noqa: S104  # compared
    volume = container.labels.get(LABEL, "")
    login = engine.registry_login(container.id)
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


def _ready(engine: RegistriesAPI, name: str) -> LocalRegistry:
    """Wait until the registry answers; raise with its last words when it does not."""
    registry = _described(engine, engine.container(name))
    host, _, port = registry.address.rpartition(":")
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if _answers(host, int(port)):
            return registry
        if engine.container(name).status != "running":
            break
        time.sleep(0.05)
    tail = [line.data.decode("utf-8", "replace").strip() for line in engine.logs(name)][-3:]
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
