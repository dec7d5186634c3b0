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
class SecretSource:
    """Where the value of a build secret is: a file, or a variable of the environment."""

    file: Path | None = None
    env: str = ""


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
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    network: str = "bridge"
    platform: str = ""
    quiet: bool = False
    trust_host_ca: bool | None = None
    iidfile: Path | None = None
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)

    @classmethod
    def of(cls, context: str | os.PathLike[str] = ".", **flags: Any) -> BuildOptions:
        """Return the options that Docker's ``build`` flags mean.

        ``tag`` (one or several), ``build_arg`` and ``label`` (mapping or ``NAME=value`` texts; a
        bare NAME takes its value from the environment) are accepted as people write them;
        ``secret`` is ``id=NAME,src=FILE`` or ``id=NAME,env=VARIABLE``.
        """
        values = {name: value for name, value in flags.items() if value is not None}
        tags = as_sequence(values.pop("tag", None)) + as_sequence(values.pop("tags", None))
        args = _build_args(values.pop("build_arg", None) or values.pop("build_args", ()))
        labels = parse_labels(values.pop("label", None) or values.pop("labels", ()))
        secrets = dict(_secret(text) for text in as_sequence(values.pop("secret", None)))
        if "no_cache_filter" in values:
            wanted = as_sequence(values["no_cache_filter"])
            names = [name.strip() for text in wanted for name in text.split(",")]
            values["no_cache_filter"] = tuple(name for name in names if name)
        for name in ("file", "iidfile"):
            if name in values:
                values[name] = Path(values[name])
        known = {item.name for item in fields(cls)} - {"context"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r}",
                hint=nearest(unknown[0], known | {"tag", "secret"}),
            )
        return cls(
            Path(context), tags=tags, build_args=args, labels=labels, secrets=secrets, **values
        )


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


def _secret(text: str) -> tuple[str, SecretSource]:
    """Return the id and the source of ``--secret id=…[,src=…|,env=…]``."""
    pairs = dict(item.partition("=")[::2] for item in text.split(","))
    aliases = {"source": "src", "target": "src"}
    pairs = {aliases.get(key, key): value for key, value in pairs.items()}
    unknown = sorted(set(pairs) - {"type", "id", "src", "env"})
    name = pairs.get("id", "")
    if unknown or not name or pairs.get("type", "file") not in ("file", "env"):
        raise InvalidArgumentError(
            f"invalid secret {text!r}", hint="write id=NAME,src=FILE or id=NAME,env=VARIABLE"
        )
    if pairs.get("type") == "env" or "env" in pairs:
        return name, SecretSource(env=pairs.get("env") or pairs.get("src") or name)
    if "src" not in pairs and name in os.environ:
        return name, SecretSource(env=name)
    return name, SecretSource(file=Path(pairs.get("src") or name).expanduser())
