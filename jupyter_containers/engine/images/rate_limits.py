"""Pull limits of registries, as last reported: recorded at each pull, shown by ``info``."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.errors import AlreadyExistsError

if TYPE_CHECKING:
    from jupyter_containers.registry.problems import RateLimit
    from jupyter_containers.store import Collection, Store


class RateLimitRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The limit that a registry last reported: ``words`` for display, ``seen`` in epoch seconds."""

    registry: str
    limit: int
    remaining: int
    window: int = 0
    words: str = ""
    seen: float = 0.0


def _collection(store: Store) -> Collection[RateLimitRecord]:
    return store.records.collection("rate limits", RateLimitRecord)


def record_limit(store: Store, registry: str, limit: RateLimit | None) -> str:
    """Record a registry's limit; return it as text, empty if it reported none."""
    if limit is None:
        return ""
    record = RateLimitRecord(
        registry, limit.limit, limit.remaining, limit.window, str(limit), time.time()
    )
    known = _collection(store)
    if known.get(registry) is not None:
        known.replace(registry, record)
    else:
        with suppress(AlreadyExistsError):  # another kernel was faster
            known.insert(registry, None, record)
    return record.words


def known_limits(store: Store) -> dict[str, str]:
    """Return the last known limit of each registry as text."""
    return {record.registry: record.words for record in _collection(store).all()}
