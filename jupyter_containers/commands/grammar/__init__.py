"""The one declaration of every command: names, flags, operands.

The parser, the help texts, completion and the documentation read it.  Names, letters and meanings
are Docker's; a flag's keyword is the field of :mod:`jupyter_containers.options` that it fills.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module

from jupyter_containers.commands.words import Verb

# The modules with verbs, in the order of the overview.  Each is imported when a verb is looked for
# and no module before it has it.
_MODULES = (
    "containers",
    "workloads",
    "sessions",
    "images",
    "builds",
    "compose",
    "networks",
    "registries",
    "volumes",
    "stores",
    "kernels",
    "magics",
    "contexts",
    "system",
)

GROUPS = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "volume": "Manage volumes",
    "registry": "Manage registries",
    "context": "Manage contexts: the places where containers run",
    "kernel": "Run notebooks' kernels in containers",
    "session": "Run cells in containers that keep their variables",
    "magics": "Load the magics in every kernel",
    "store": "Share images with all users of this machine",
    "manifest": "Manage lists of manifests for several platforms",
    "compose": "Run applications of several containers",
    "system": "Manage the engine",
    "builder": "Manage the build cache",
    "buildx": "Manage builds (the name of Docker's plugin)",
}

VERBS: tuple[Verb, ...]  # made by __getattr__


def __getattr__(name: str) -> object:
    if name == "VERBS":
        return _all()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _all() -> tuple[Verb, ...]:
    return tuple(_each())


def _each() -> Iterator[Verb]:
    for module in _MODULES:
        yield from import_module(f"{__name__}.{module}").VERBS


def verb_named(spelling: str) -> Verb | None:
    """Return the verb with this full spelling; imports no more modules than necessary."""
    return next((verb for verb in _each() if spelling in (verb.name, *verb.aliases)), None)


def spellings() -> dict[str, Verb]:
    """Return every full spelling (``ps``, ``container ls``) with its verb."""
    return {name: verb for verb in _all() for name in (verb.name, *verb.aliases)}


def members(group: str) -> list[tuple[str, Verb]]:
    """Return the commands of a management group with their verbs, each verb once, by name."""
    found: dict[str, tuple[str, Verb]] = {}
    for name, verb in spellings().items():
        first, _, second = name.partition(" ")
        if first == group and second:
            found.setdefault(verb.name, (second, verb))
    return sorted(found.values(), key=lambda item: item[0])
