"""Rotation and labels of a container's log (Docker's ``--log-opt``)."""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.limits import whole
from jupyter_containers.options.values import parse_size
from jupyter_containers.options.written import WrittenPairs

KNOWN = ("max-size", "max-file", "labels", "env")


class LogOptions(WrittenPairs):
    """``max_bytes`` of a file (0: no limit), the number of ``files``, and the names to show."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """Read the pairs; raise :class:`InvalidArgumentError` for a bad number."""
        super().__init__(pairs)
        self.max_bytes = parse_size(self.get("max-size", 0), "log-opt max-size")
        count = whole(self.get("max-file", 1), "log-opt max-file")
        if count < 1:
            raise InvalidArgumentError("invalid log-opt max-file: it is below 1")
        self.files = count if self.max_bytes else 1  # a file without a limit is never rotated
        self.labels = tuple(self.get("labels", "").split(","))
        self.env = tuple(self.get("env", "").split(","))
