"""The one declaration of every command: names, flags, operands.

The parser, the help texts, completion and the documentation read it.  Names, letters and meanings
are Docker's; a flag's keyword is the field of :mod:`jupyter_containers.options` that it fills.
"""

from __future__ import annotations

from jupyter_containers.commands.grammar import (
    builds,
    compose,
    containers,
    contexts,
    images,
    kernels,
    magics,
    networks,
    registries,
    sessions,
    stores,
    system,
    volumes,
    workloads,
)
from jupyter_containers.commands.words import Verb

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

VERBS: tuple[Verb, ...] = (
    *containers.VERBS,
    *workloads.VERBS,
    *sessions.VERBS,
    *images.VERBS,
    *builds.VERBS,
    *compose.VERBS,
    *networks.VERBS,
    *registries.VERBS,
    *volumes.VERBS,
    *stores.VERBS,
    *kernels.VERBS,
    *magics.VERBS,
    *contexts.VERBS,
    *system.VERBS,
)


def spellings() -> dict[str, Verb]:
    """Return every full spelling (``ps``, ``container ls``) with its verb."""
    return {name: verb for verb in VERBS for name in (verb.name, *verb.aliases)}


def members(group: str) -> list[tuple[str, Verb]]:
    """Return the commands of a management group with their verbs, each verb once, by name."""
    found: dict[str, tuple[str, Verb]] = {}
    for name, verb in spellings().items():
        first, _, second = name.partition(" ")
        if first == group and second:
            found.setdefault(verb.name, (second, verb))
    return sorted(found.values(), key=lambda item: item[0])
