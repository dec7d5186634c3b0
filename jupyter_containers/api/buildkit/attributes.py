"""Translates the attributes of a solve into options of the builder.

Unknown attributes that may change the result are refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jupyter_containers.api.buildkit.messages import Exporter, SolveRequest
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.build import ENTITLEMENTS

DOCKERFILE, GATEWAY = "dockerfile.v0", "gateway.v0"
_OURS = ("docker/dockerfile", "docker/dockerfile-upstream")
_DIRECTIVE = pattern(r"#\s*(syntax|escape|check)\s*=\s*(.+)", re.IGNORECASE)
_MOST_DIRECTIVES = 4096
_NETWORKS = {"": "bridge", "default": "bridge", "sandbox": "bridge"}
_HARMLESS = (
    "frontend.caps", "cmdline", "source", "hostname", "multi-platform", "cache-from", "syntax",
    "dockerfilekey", "contextkey", "contextsubdir", "filename", "context", "requestid",
    "build-arg:BUILDKIT_SYNTAX", "linguist", "no-cache", "image-resolve-mode", "cache-imports",
    "language", "format",
)  # fmt: skip
_HARMLESS_PREFIXES = ("vcs:", "local-sessionid:", "input-metadata:", "ref:", "policy:")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The request of a solve to the Dockerfile's frontend; ``flags`` are keywords of the builder.

    ``named`` are contexts by name: a client's folder (``local:KEY``) or a value for the builder.
    """

    filename: str = "Dockerfile"
    definition_key: str = "dockerfile"
    context_key: str = "context"
    remote: str = ""
    subfolder: str = ""
    request: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Wanted:
        """Translate attributes; raise :class:`InvalidArgumentError`."""
        read = _Reading()
        for name, value in attributes.items():
            read.one(name, value)
        return cls(
            attributes.get("filename", "") or "Dockerfile",
            attributes.get("dockerfilekey", "") or "dockerfile",
            attributes.get("contextkey", "") or "context",
            attributes.get("context", ""),
            attributes.get("contextsubdir", ""),
            attributes.get("requestid", ""),
            read.named,
            read.flags | _cache_imports(attributes),
        )


class _Reading:
    """Collects the options for a set of attributes."""

    def __init__(self) -> None:
        self.named: dict[str, str] = {}
        self.flags: dict[str, Any] = {"build_args": {}, "labels": {}}

    def one(self, name: str, value: str) -> None:
        kind, colon, rest = name.partition(":")
        if kind == "build-arg" and colon:
            self.flags["build_args"][rest] = value
        elif kind == "label" and colon:
            self.flags["labels"][rest] = value
        elif kind == "context" and colon:
            self.named[rest] = value
        elif kind == "attest":
            _check_attestation(rest, value)
        elif name in _READERS:
            key, read = _READERS[name]
            found = read(value)
            if found not in (None, "", [], 0):
                self.flags[key] = found
        elif name == "no-cache":
            self.flags |= _no_cache(value)
        elif name == "image-resolve-mode":
            self.flags["pull"] = value == "pull"
        elif name in ("cgroup-parent", "device"):
            if value:
                raise InvalidArgumentError(f"the option {name} of a build has no effect here")
        elif name not in _HARMLESS and not name.startswith(_HARMLESS_PREFIXES):
            raise UnsupportedError(
                f"the attribute {name!r} of a build is not known here",
                capability="attributes of frontends",
            )


def _no_cache(value: str) -> dict[str, Any]:
    return {"no_cache_filter": [value]} if value else {"no_cache": True}


def _check_attestation(name: str, value: str) -> None:
    words = value.split(",")
    if "disabled=true" in words or (name == "provenance" and "mode=max" not in words):
        return  # minimal provenance is a default of clients; leaving it out is harmless
    raise UnsupportedError(
        f"attestations ({name}) are not made here",
        capability="attestations",
        hint="build without --sbom and --provenance=mode=max",
    )


_READERS: dict[str, tuple[str, Any]] = {
    "target": ("target", str),
    "platform": ("platform", str),
    "force-network-mode": ("network", lambda value: _NETWORKS.get(value, value)),
    "add-hosts": (
        "add_host",
        lambda value: [one.replace("=", ":", 1) for one in value.split(",") if one],
    ),
    "shm-size": ("shm_size", lambda value: value if value != "0" else ""),
    "ulimit": ("ulimit", lambda value: [one for one in value.split(",") if one]),
}


def _cache_imports(attributes: Mapping[str, str]) -> dict[str, Any]:
    text = attributes.get("cache-imports", "")
    found = [
        f"type=registry,ref={one}" for one in attributes.get("cache-from", "").split(",") if one
    ]
    if text:
        try:
            entries = json.loads(text)
            found += [
                cache_place(Exporter(type=one["Type"], attrs=dict(one.get("Attrs") or {})))
                for one in entries
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidArgumentError("the cache-imports of a build cannot be read") from error
    return {"cache_from": found} if found else {}


def cache_place(one: Exporter) -> str:
    """Return a cache location in the syntax of ``--cache-from`` and ``--cache-to``."""
    if one.type not in ("registry", "inline"):
        raise UnsupportedError(
            f"a cache of type={one.type} is not kept with the client's help here",
            capability="caches of other types",
            hint="type=registry or type=inline",
        )
    words = [f"type={one.type}"]
    for name, value in one.attrs.items():
        if "," in value or "\n" in value:
            raise InvalidArgumentError(f"invalid {name} of a cache: {value!r}")
        words.append(f"{name}={value}")
    return ",".join(words)


def check_syntax(text: bytes, build_args: Mapping[str, str]) -> None:
    """Refuse a Dockerfile whose ``# syntax=`` line names a frontend other than Docker's own."""
    named = build_args.get("BUILDKIT_SYNTAX", "")
    for line in text[:_MOST_DIRECTIVES].decode("utf-8-sig", "replace").splitlines():
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "syntax":
            named = named or match[2].strip()
    if named:
        _check_source(named.split()[0])


def _check_source(name: str) -> None:
    """Refuse the image of a frontend whose features the builder lacks."""
    repository = name.partition("@")[0]
    repository = re.sub(r":[^:/]*$", "", repository)
    if not repository.endswith(_OURS):
        raise UnsupportedError(
            f"the frontend {name[:200]} is a separate program, which is not run here",
            capability="frontends other than the Dockerfile's",
            hint="build a Dockerfile without a # syntax= line of another frontend",
        )


def check_frontend(request: SolveRequest) -> None:
    """Refuse a solve that does not build a Dockerfile, with a message of one line."""
    name = request.frontend
    source = request.frontend_attrs.get("source", "")
    if name == GATEWAY:
        _check_source(source or name)
    elif name not in ("", DOCKERFILE):
        raise UnsupportedError(
            f"the frontend {name!r} is not known here", capability="other frontends"
        )
    if request.definition or request.frontend_inputs:
        raise UnsupportedError(
            "a graph of steps (LLB) is not executed here, only a Dockerfile",
            capability="definitions in LLB",
        )
    if request.source_policy:
        raise UnsupportedError("source policies are not applied here", capability="source policies")


def entitlements(request: SolveRequest) -> list[str]:
    """Return the entitlements of a build; raise for an unknown one."""
    names = list(dict.fromkeys(request.entitlements))
    for name in names:
        if name not in ENTITLEMENTS:
            raise InvalidArgumentError(f"unknown entitlement {name!r}")
    return names
