"""Builds by ``POST /build``: a context in, lines of the classic builder out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_containers.api.call import Call
from jupyter_containers.api.credentials import lent_for_build
from jupyter_containers.api.errors import StatusError
from jupyter_containers.api.progress import BuildProgress, Lines
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import discard
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.oci.reference import Reference

_BLOCK = 1 << 20
# Limits of the containers of RUN steps, and parameters of other builders.
_REFUSED = (
    "memory", "memswap", "cpusetcpus", "cpusetmems", "cpushares", "cpuperiod", "cpuquota",
    "squash", "isolation", "cgroupparent", "securityopt", "outputs",
)  # fmt: skip


def build(call: Call) -> None:
    """Build an image from the context in the body, or at an address (``remote``)."""
    query = call.query
    if query.text("version", "1") not in ("", "1"):
        raise StatusError(
            501, "BuildKit's protocol is not served here: set DOCKER_BUILDKIT=0 for the classic one"
        )
    for name in _REFUSED:
        if query.text(name) not in ("", "0", "false", "default", "null", "[]"):
            raise InvalidArgumentError(f"the parameter {name} of a build has no effect here")
    tags = [str(Reference.parse(text)) for text in query.texts("t") if text]
    lines = Lines(call)
    with (
        _context(call) as context,
        call.engine.registries.lending(lent_for_build(call)),
        lines.errors(),
    ):
        quiet = query.flag("q")
        emit = discard if quiet else BuildProgress(lines)
        flags = _flags(call, tags)
        image = call.engine.builds.build(context, emit=emit, cancel=call.cancel, **flags)
        if quiet:
            lines.stream(f"{image.id}\n")
            return
        lines.send({"aux": {"ID": image.id}})
        lines.stream(f"Successfully built {short_id(image.id)}\n")
        for tag in tags:
            lines.stream(f"Successfully tagged {Reference.parse(tag).familiar}\n")


def _flags(call: Call, tags: list[str]) -> dict[str, Any]:
    query = call.query
    arguments = query.document("buildargs", dict[str, str | None])
    labels = query.document("labels", dict[str, str | None])
    sources = query.document("cachefrom", list[str])
    ulimits = query.document("ulimits", list[dict[str, str | int]])
    flags: dict[str, Any] = {
        "tags": tags,
        "file": query.text("dockerfile"),
        "build_args": _given(arguments),
        "labels": _given(labels),
        "target": query.text("target"),
        "no_cache": query.flag("nocache"),
        "pull": query.flag("pull"),
        "network": query.text("networkmode").replace("default", "bridge"),
        "add_host": [text for given in query.texts("extrahosts") for text in given.split(",")],
        "shm_size": query.whole("shmsize"),
        "ulimit": _ulimits(ulimits),
        "platform": query.text("platform"),
    }
    # Docker's classic builder reuses the layers of local images: this build cache has them.
    del sources
    return {name: value for name, value in flags.items() if value not in (None, "", [], {})}


def _given(pairs: object) -> dict[str, str]:
    """Return the arguments that have a value; the others come from the client's environment."""
    assert pairs is None or isinstance(pairs, dict)
    return {name: value for name, value in (pairs or {}).items() if value is not None}


def _ulimits(items: object) -> list[str]:
    assert items is None or isinstance(items, list)
    try:
        return [f"{item['Name']}={item['Soft']}:{item['Hard']}" for item in items or ()]
    except KeyError as error:
        raise InvalidArgumentError(f"invalid ulimits: {error.args[0]} is missing") from error


@contextmanager
def _context(call: Call) -> Iterator[str]:
    """Yield the address of the context, or the path of the body's archive."""
    remote = call.query.text("remote")
    if remote:
        if "://" not in remote and not remote.startswith(("git@", "github.com/")):
            raise InvalidArgumentError("remote must be the address of a context")
        yield remote
        return
    folder = call.engine.settings.layout.store.staging
    with tempfile.NamedTemporaryFile(
        prefix="context-", dir=folder if os.path.isdir(folder) else None
    ) as file:
        shutil.copyfileobj(call.body, file, _BLOCK)
        file.flush()
        yield file.name


def prune(call: Call) -> dict[str, Any]:
    """Remove unused entries of the build cache."""
    query = call.query
    filters = [f"{key}={value}" for key, values in query.filters().items() for value in values]
    result = call.engine.builds.prune(
        all=query.flag("all"),
        filters=filters or None,
        max_used_space=query.whole("max-used-space") or query.whole("keep-storage") or None,
        min_free_space=query.whole("min-free-space"),
    )
    return {"CachesDeleted": list(result.removed) or None, "SpaceReclaimed": result.freed}
