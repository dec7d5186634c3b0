"""What ``build`` is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.run import nearest
from jupyter_containers.options.values import as_sequence, parse_labels


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """One build (Docker's ``build`` flags).

    ``context`` is a folder.  ``dockerfile`` is the text of a Dockerfile, or None to read ``file``
    (relative to the working directory; by default ``Dockerfile`` in the context).
    ``source_name`` is how errors name the text.  ``trust_host_ca`` None leaves it to the settings.
    """

    context: Path
    dockerfile: str | None = None
    file: Path | None = None
    source_name: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    network: str = "bridge"
    platform: str = ""
    quiet: bool = False
    trust_host_ca: bool | None = None
    iidfile: Path | None = None

    @classmethod
    def of(cls, context: str | os.PathLike[str] = ".", **flags: Any) -> BuildOptions:
        """Return the options that Docker's ``build`` flags mean.

        ``tag`` (one or several), ``build_arg`` and ``label`` (mapping or ``NAME=value`` texts; a
        bare NAME takes its value from the environment) are accepted as people write them.
        """
        values = {name: value for name, value in flags.items() if value is not None}
        tags = as_sequence(values.pop("tag", None)) + as_sequence(values.pop("tags", None))
        args = _build_args(values.pop("build_arg", None) or values.pop("build_args", ()))
        labels = parse_labels(values.pop("label", None) or values.pop("labels", ()))
        for name in ("file", "iidfile"):
            if name in values:
                values[name] = Path(values[name])
        known = {item.name for item in fields(cls)} - {"context"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r}", hint=nearest(unknown[0], known | {"tag"})
            )
        return cls(Path(context), tags=tags, build_args=args, labels=labels, **values)


def _build_args(entries: Any) -> dict[str, str]:
    if isinstance(entries, Mapping):
        return {str(name): str(value) for name, value in entries.items()}
    result: dict[str, str] = {}
    for entry in as_sequence(entries):
        name, equals, value = entry.partition("=")
        if equals:
            result[name] = value
        elif name in os.environ:
            result[name] = os.environ[name]
    return result
