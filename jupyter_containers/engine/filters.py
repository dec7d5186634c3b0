"""``--filter`` for containers and for prunes, with Docker's keys and values.

Values of one key are alternatives, except labels, which must all match; different keys are joined
by *and*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from jupyter_containers.engine.records import ContainerRecord, VolumeRecord
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.state import Status
from jupyter_containers.options.limits import whole
from jupyter_containers.options.moments import parse_moment
from jupyter_containers.options.values import natural

Filters = Mapping[str, Iterable[str]]
_PORTS = pattern(r"([0-9]+)(?:-([0-9]+))?(?:/(tcp|udp|sctp))?")
_LONGEST = 4096
_HEALTH = ("starting", "healthy", "unhealthy", "none")


@dataclass(frozen=True, slots=True)
class Lookups:
    """Lookups for filters of containers, each by the text of a value.

    ``ancestor`` returns the IDs of an image and of all its descendants.
    """

    container: Callable[[str], ContainerRecord]
    ancestor: Callable[[str], frozenset[str]]
    health: Callable[[ContainerRecord], str]


def container_filter(filters: Filters, look: Lookups) -> Callable[[ContainerRecord], bool]:
    """Return the predicate of ``ps --filter``; raise :class:`InvalidArgumentError`."""
    known = {**_MAKERS, **_LOOKING}
    unknown = [key for key in filters if key not in known]
    if unknown:
        raise InvalidArgumentError(
            f"invalid filter {unknown[0]!r}", hint=f"one of {', '.join(sorted(known))}"
        )
    tests: list[tuple[bool, list[Callable[[ContainerRecord], bool]]]] = []
    for key, values in filters.items():
        made = [
            _MAKERS[key](value) if key in _MAKERS else _LOOKING[key](value, look)
            for value in values
        ]
        tests.append((key == "label", made))
    return lambda record: all(
        (all if together else any)(test(record) for test in group) for together, group in tests
    )


Test = Callable[[ContainerRecord], bool]


def _by_id(value: str) -> Test:
    pattern = _regular(value)
    return lambda record: record.id == value or pattern(record.id)


def _by_name(value: str) -> Test:
    pattern = _regular(value)
    return lambda record: pattern(f"/{record.name}") or pattern(record.name)


def _regular(value: str) -> Callable[[str], bool]:
    """Return a predicate that searches for a regular expression, or literally if it is none."""
    if len(value) > _LONGEST:
        raise InvalidArgumentError("invalid filter: longer than any name")
    try:
        compiled = re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return lambda text: text == value
    return lambda text: compiled.search(text) is not None


def _by_status(value: str) -> Test:
    if value not in list(Status):
        raise InvalidArgumentError(
            f"invalid filter 'status={value}'", hint=f"one of {', '.join(sorted(Status))}"
        )
    return lambda record: str(record.state.status) == value


def _by_exit_code(value: str) -> Test:
    try:
        wanted = whole(value, "filter 'exited'")
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"invalid filter 'exited={value}'", hint="write a number"
        ) from error
    return lambda record: (
        not record.state.status.up
        and bool(record.state.finished)
        and record.state.exit_code == wanted
    )


def _by_task(value: str) -> Test:
    if value.lower() not in ("true", "false", "1", "0"):
        raise InvalidArgumentError(f"invalid filter 'is-task={value}'", hint="write true or false")
    return lambda _: value.lower() in ("false", "0")  # there is no swarm


def _by_network(value: str) -> Test:
    return lambda record: (
        value in [request.name for request in record.networks]
        or any(endpoint.network_id.startswith(value) for endpoint in record.endpoints)
    )


def _by_volume(value: str) -> Test:
    return lambda record: any(
        value in (mount.name, mount.target, mount.source) for mount in record.mounts
    )


def _by_label(value: str) -> Test:
    label = label_of(value)
    return lambda record: has_label(
        {**record.config.labels, **(record.options.labels or {})}, *label
    )


def _ports_of(key: str, value: str) -> set[str]:
    match = _PORTS.fullmatch(value)
    low = natural(match[1]) or 0 if match else 0
    high = natural(match[2]) or 0 if match and match[2] else low
    if match is None or not 0 < low <= high <= 65535:
        raise InvalidArgumentError(
            f"invalid filter '{key}={value}'", hint="write 80, 80/udp or 8000-8080/tcp"
        )
    return {f"{port}/{match[3] or 'tcp'}" for port in range(low, high + 1)}


def _by_published(value: str) -> Test:
    wanted = _ports_of("publish", value)  # the host's ports, as with Docker
    return lambda record: (
        record.state.status.up
        and any(f"{port.host_port}/{port.protocol}" in wanted for port in record.ports)
    )


def _by_exposed(value: str) -> Test:
    wanted = _ports_of("expose", value)
    return lambda record: bool(
        wanted
        & {
            *record.config.exposed_ports,
            *record.options.expose,
            *(port.container for port in record.options.publish),
        }
    )


def _before(value: str, look: Lookups) -> Test:
    other = look.container(value)
    return lambda record: record.created < other.created


def _since(value: str, look: Lookups) -> Test:
    other = look.container(value)
    return lambda record: record.created > other.created


def _by_ancestor(value: str, look: Lookups) -> Test:
    images = look.ancestor(value)
    return lambda record: record.image_id in images


def _by_health(value: str, look: Lookups) -> Test:
    if value not in _HEALTH:
        raise InvalidArgumentError(
            f"invalid filter 'health={value}'", hint=f"one of {', '.join(_HEALTH)}"
        )
    return lambda record: (look.health(record) or "none") == value


_MAKERS: dict[str, Callable[[str], Test]] = {
    "id": _by_id,
    "name": _by_name,
    "status": _by_status,
    "exited": _by_exit_code,
    "is-task": _by_task,
    "label": _by_label,
    "network": _by_network,
    "volume": _by_volume,
    "publish": _by_published,
    "expose": _by_exposed,
}
_LOOKING: dict[str, Callable[[str, Lookups], Test]] = {
    "ancestor": _by_ancestor,
    "before": _before,
    "since": _since,
    "health": _by_health,
}


def volume_filter(filters: Filters | None, used: frozenset[str]) -> Callable[[VolumeRecord], bool]:
    """Return the predicate of ``volume ls --filter``; ``used`` names the mounted volumes."""
    given = {key: tuple(values) for key, values in (filters or {}).items()}
    known = ("dangling", "driver", "label", "name")
    unknown = [key for key in given if key not in known]
    if unknown:
        raise InvalidArgumentError(
            f"invalid filter {unknown[0]!r}", hint=f"one of {', '.join(known)}"
        )
    for text in given.get("dangling", ()):
        if text.lower() not in ("true", "false", "1", "0"):
            raise InvalidArgumentError(
                f"invalid filter 'dangling={text}'", hint="write true or false"
            )
    dangling = {text.lower() in ("true", "1") for text in given.get("dangling", ())}
    patterns = [_regular(text) for text in given.get("name", ())]
    labels = [label_of(text) for text in given.get("label", ())]

    def matches(volume: VolumeRecord) -> bool:
        return (
            (not dangling or (volume.name not in used) in dangling)
            and ("driver" not in given or "local" in given["driver"])
            and (not patterns or any(pattern(volume.name) for pattern in patterns))
            and all(has_label(volume.labels, *label) for label in labels)
        )

    return matches


class PruneFilter:
    """The objects that a prune removes: by labels, and by age if the object has one.

    ``keys`` are the valid keys of the object; others raise :class:`InvalidArgumentError`.
    """

    def __init__(
        self, filters: Filters | None, keys: tuple[str, ...] = ("label", "label!", "until")
    ) -> None:
        given = {key: tuple(values) for key, values in (filters or {}).items()}
        unknown = [key for key in given if key not in keys]
        if unknown:
            raise InvalidArgumentError(
                f"invalid filter {unknown[0]!r}", hint=f"one of {', '.join(keys)}"
            )
        self._labels = [label_of(text) for text in given.get("label", ())]
        self._not_labels = [label_of(text) for text in given.get("label!", ())]
        self._until = [
            parse_moment(text, "filter until").timestamp() for text in given.get("until", ())
        ]
        self.all = any(text.lower() in ("1", "true") for text in given.get("all", ()))

    def accepts(self, labels: Mapping[str, str], created: float) -> bool:
        """Return whether an object with these labels and this creation time may be removed."""
        return (
            all(has_label(labels, *label) for label in self._labels)
            and not any(has_label(labels, *label) for label in self._not_labels)
            and all(created < bound for bound in self._until)
        )


def label_of(text: str) -> tuple[str, str | None]:
    """Return the name and value of a label filter; the value is None if any matches."""
    name, equals, value = text.partition("=")
    return name, value if equals else None


def has_label(labels: Mapping[str, str], name: str, value: str | None) -> bool:
    """Return whether the label exists and, unless ``value`` is None, has that value."""
    return name in labels and value in (None, labels[name])
