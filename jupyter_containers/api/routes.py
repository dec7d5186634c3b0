"""The addresses of the API: a method, a path with placeholders, and the handler.

A path may begin with a version (``/v1.43``).  ``{name}`` is one part of a path, ``{name*}`` one or
more: the names of images have slashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from jupyter_containers.api.errors import StatusError
from jupyter_containers.lazy_dataclasses import dataclass

MINIMUM = (1, 24)
CURRENT = (1, 51)
MINIMUM_TEXT, CURRENT_TEXT = "1.24", "1.51"
_VERSION = re.compile(r"/v([0-9.]+)(?=/)")
_NUMBERS = re.compile(r"(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Route:
    """An address and its handler as ``module:function``; ``streams`` if its body is streamed."""

    method: str
    path: str
    handler: str
    streams: bool = False

    @property
    def function(self) -> Callable[..., Any]:
        """The handler, imported when it is first needed."""
        module, _, name = self.handler.partition(":")
        found: Callable[..., Any] = getattr(import_module(f"jupyter_containers.api.{module}"), name)
        return found


def _route(line: str) -> Route:
    method, path, handler, *more = line.split()
    return Route(method, path, handler, streams=more == ["streams"])


ROUTES: tuple[Route, ...] = tuple(
    _route(line)
    for line in """
    GET    /_ping                         system:ping
    HEAD   /_ping                         system:ping
    GET    /version                       system:version
    GET    /info                          system:info
    POST   /auth                          system:auth
    GET    /events                        system:events
    GET    /plugins                       system:plugins
    GET    /distribution/{name*}/json     images:distribution
    GET    /containers/json               containers:listed
    POST   /containers/create             containers:create
    POST   /containers/prune              containers:prune
    GET    /containers/{name}/json        containers:inspect
    POST   /containers/{name}/start       containers:start
    POST   /containers/{name}/stop        containers:stop
    POST   /containers/{name}/restart     containers:restart
    POST   /containers/{name}/kill        containers:kill
    POST   /containers/{name}/pause       containers:pause
    POST   /containers/{name}/unpause     containers:unpause
    POST   /containers/{name}/rename      containers:rename
    POST   /containers/{name}/update      containers:update
    POST   /containers/{name}/resize      containers:resize
    GET    /containers/{name}/top         containers:top
    GET    /containers/{name}/changes     containers:changes
    DELETE /containers/{name*}            containers:remove
    POST   /containers/{name}/attach      container_streams:attach
    GET    /containers/{name}/attach/ws   container_streams:attach_ws
    GET    /containers/{name}/logs        container_streams:logs
    POST   /containers/{name}/wait        container_streams:wait
    GET    /containers/{name}/stats       container_streams:stats
    GET    /containers/{name}/export      files:export
    GET    /containers/{name}/archive     files:get
    HEAD   /containers/{name}/archive     files:head
    PUT    /containers/{name}/archive     files:put streams
    POST   /commit                        files:commit
    POST   /containers/{name}/exec        exec:create
    POST   /exec/{id}/start               exec:start
    POST   /exec/{id}/resize              exec:resize
    GET    /exec/{id}/json                exec:inspect
    GET    /system/df                     disk:df
    GET    /images/json                   images:listed
    POST   /images/create                 images:create streams
    POST   /images/prune                  images:prune
    GET    /images/search                 images:search
    GET    /images/get                    images:save
    POST   /images/load                   images:load streams
    GET    /images/{name*}/json           images:inspect
    GET    /images/{name*}/history        images:history
    GET    /images/{name*}/get            images:save
    POST   /images/{name*}/push           images:push
    POST   /images/{name*}/tag            images:tag
    DELETE /images/{name*}                images:remove
    GET    /networks                      networks:listed
    POST   /networks/create               networks:create
    POST   /networks/prune                networks:prune
    GET    /networks/{name}               networks:inspect
    DELETE /networks/{name}               networks:remove
    POST   /networks/{name}/connect       networks:connect
    POST   /networks/{name}/disconnect    networks:disconnect
    GET    /volumes                       volumes:listed
    POST   /volumes/create                volumes:create
    POST   /volumes/prune                 volumes:prune
    GET    /volumes/{name}                volumes:inspect
    DELETE /volumes/{name}                volumes:remove
    POST   /build                         build:build streams
    POST   /build/prune                   build:prune
    POST   /build/cancel                  build:cancel
    POST   /session                       upgrades:session
    POST   /grpc                          upgrades:grpc
    """.strip().splitlines()
)

# The answer of a node outside any swarm.
_SWARM = re.compile(r"/(swarm|nodes|services|tasks|secrets|configs)(/.*)?")


def _pattern(path: str) -> re.Pattern[str]:
    text = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", path)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text))


_TABLE = tuple((_pattern(route.path), route) for route in ROUTES)


def split_version(path: str) -> tuple[tuple[int, int], str]:
    """Return the version in a path and the rest; raise if that version is not served."""
    match = _VERSION.match(path)
    if match is None:
        return CURRENT, path
    numbers = _NUMBERS.fullmatch(match[1])
    if numbers is None:
        raise StatusError(400, f"client version {match[1][:20]} is no version of this API")
    version = (int(numbers[1]), int(numbers[2]))
    text = f"{version[0]}.{version[1]}"
    if version < MINIMUM:
        raise StatusError(
            400,
            f"client version {text} is too old. Minimum supported API version is {MINIMUM_TEXT}, "
            "please upgrade your client to a newer version",
        )
    if version > CURRENT:
        raise StatusError(
            400,
            f"client version {text} is too new. Maximum supported API version is {CURRENT_TEXT}",
        )
    return version, path[match.end() :]


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Return the route of a path without its version, and the values of its placeholders.

    Raises :class:`StatusError`: 404 for an unknown path, 503 for those of a swarm.
    """
    for pattern, route in _TABLE:
        match = pattern.fullmatch(path)
        if match is not None and method == route.method:
            return route, {key: unquote(value) for key, value in match.groupdict().items()}
    if _SWARM.fullmatch(path) or (method == "PUT" and path.startswith("/volumes/")):
        raise StatusError(
            503,
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to '
            "connect this node to swarm and try again.",
        )
    raise StatusError(404, "page not found")
