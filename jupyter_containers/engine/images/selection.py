"""The selection of images by ``images --filter`` and ``image prune --filter``.

Values of one key are alternatives, except labels, which must all match; different keys are joined
by *and*.  ``reference`` also hides the other names of an image, as Docker does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from jupyter_containers.build.patterns import glob
from jupyter_containers.engine.filters import Filters, has_label, label_of
from jupyter_containers.engine.units import parse_time
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.moments import parse_moment
from jupyter_containers.store import ImageRecord

Names = Mapping[str, str]
LISTING = ("before", "dangling", "label", "reference", "since", "until")
PRUNING = ("dangling", "label", "label!", "until")
_EPOCH = datetime.fromtimestamp(0, UTC)


class Selection:
    """The images selected by filters; ``find`` resolves the values of ``before`` and ``since``.

    Raises :class:`InvalidArgumentError` for a key that is not among ``keys``.
    """

    def __init__(
        self, filters: Filters, find: Callable[[str], ImageRecord], keys: tuple[str, ...] = LISTING
    ) -> None:
        unknown = [key for key in filters if key not in keys]
        if unknown:
            raise InvalidArgumentError(
                f"invalid filter {unknown[0]!r}", hint=f"one of {', '.join(keys)}"
            )
        given = {key: tuple(values) for key, values in filters.items()}
        self._patterns = [glob(text) for text in given.get("reference", ())]
        self._labels = [label_of(text) for text in given.get("label", ())]
        self._not_labels = [label_of(text) for text in given.get("label!", ())]
        self._dangling = {_boolean(text) for text in given.get("dangling", ())}
        self._after = [created(find(text)) for text in given.get("since", ())]
        self._before = [created(find(text)) for text in given.get("before", ())]
        self._before += [parse_moment(text, "filter until") for text in given.get("until", ())]

    @property
    def by_dangling(self) -> set[bool]:
        """The given values of ``dangling``."""
        return self._dangling

    def names(self, record: ImageRecord, names: Names) -> Names | None:
        """Return the names under which an image is selected, or None if it is not."""
        if self._dangling and bool(names) in self._dangling:
            return None
        if not self.accepts(record):
            return None
        if not self._patterns:
            return names
        chosen = {name: target for name, target in names.items() if self._matches(name)}
        return chosen or None

    def accepts(self, record: ImageRecord) -> bool:
        """Return whether labels and times, which do not depend on names, select an image."""
        return (
            all(has_label(record.labels, *label) for label in self._labels)
            and not any(has_label(record.labels, *label) for label in self._not_labels)
            and all(created(record) > bound for bound in self._after)
            and all(created(record) < bound for bound in self._before)
        )

    def _matches(self, name: str) -> bool:
        reference = Reference.parse(name)
        words = (reference.familiar, reference.familiar_name)
        return any(pattern.fullmatch(word) for pattern in self._patterns for word in words)


def created(record: ImageRecord) -> datetime:
    """Return an image's creation time; the epoch if it has none."""
    return parse_time(record.created) or _EPOCH


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise InvalidArgumentError(f"invalid filter 'dangling={text}'", hint="write true or false")
    return text.lower() in ("true", "1")
