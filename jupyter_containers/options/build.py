"""The options of ``build`` as values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Unpack

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass, field, replace
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.options.buildcache import CachePlace
from jupyter_containers.options.buildflags import BuildFlags
from jupyter_containers.options.context import ContextSource, contents, named_contexts
from jupyter_containers.options.flag import declared, keywords
from jupyter_containers.options.names import AddedHost
from jupyter_containers.options.output import (
    Annotations,
    BuildOutput,
    ImageFormat,
    require_index,
    require_single,
)
from jupyter_containers.options.readers import read
from jupyter_containers.options.run import nearest
from jupyter_containers.options.ulimits import Ulimit
from jupyter_containers.options.values import as_sequence, local_path, parse_labels

ENTITLEMENTS = frozenset({"network.host", "security.insecure"})
ISOLATIONS = ("", "default", "oci", "chroot")
EPOCH_ARG = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source of a build secret: a file, an environment variable, or the value itself."""

    file: Path | None = None
    env: str = ""
    value: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StepMeans:
    """The environment of RUN steps that images do not record; ``shm_size`` 0 is the default."""

    add_host: tuple[AddedHost, ...] = ()
    shm_size: int = 0
    ulimit: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """One build (Docker's ``build`` flags).

    ``build_contexts`` are named contexts; ``files`` are added to the files of the context, for COPY
    and ADD.  ``ssh`` maps the id of ``RUN --mount=type=ssh`` to an agent's socket or to keys;
    ``allow`` names entitlements.  ``lines_above`` is the number of lines in the source above the
    text (a cell's magic). ``dockerfile`` is the text of a Dockerfile, or None to read ``file``
    (relative to the working directory; by default ``Dockerfile`` in the context). ``source_name``
    is the text's name in errors; ``place`` identifies the text even after edits, to report what has
    changed (by default context and name).  ``trust_host_ca`` None means the setting. ``platform``
    may list several, separated by commas.  Without ``outputs`` the image goes into this store.
    ``leave_out`` has patterns, as in ``.dockerignore``, of files that are copied only by name.
    """

    context: ContextSource
    dockerfile: str | None = None
    file: Path | None = None
    source_name: str = "Dockerfile"
    place: str = ""
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    network: str = "bridge"
    isolation: str = ""
    add_host: tuple[AddedHost, ...] = ()
    shm_size: int = 0
    ulimit: tuple[Ulimit, ...] = ()
    platform: str = ""
    quiet: bool = False
    trust_host_ca: bool | None = None
    iidfile: Path | None = None
    metadata_file: Path | None = None
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    build_contexts: Mapping[str, ContextSource] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    leave_out: tuple[str, ...] = ()
    lines_above: int = 0
    outputs: tuple[BuildOutput, ...] = ()
    format: ImageFormat = "oci"
    annotations: Annotations = field(default_factory=Annotations)
    cache_from: tuple[CachePlace, ...] = ()
    cache_to: tuple[CachePlace, ...] = ()

    @property
    def step_means(self) -> StepMeans:
        """The environment of RUN steps."""
        return StepMeans(self.add_host, self.shm_size, self.ulimit)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms to build for; an empty string is this machine's."""
        return tuple(self.platform.split(","))

    @classmethod
    def of(cls, context: Any = ".", **flags: Unpack[BuildFlags]) -> BuildOptions:
        """Return the options that Docker's ``build`` flags mean.

        ``tag`` is one or several; ``build_arg`` and ``label`` are a mapping or ``NAME=value``
        strings, where a bare NAME takes its value from the environment.
        ``secret`` is ``id=NAME,src=FILE`` or ``id=NAME,env=VARIABLE``; ``secret_values`` maps
        ids to strings or bytes.  ``output``, ``annotation``, ``cache_from`` and ``cache_to`` are
        Docker's; ``push`` and ``load`` are short for outputs.

        ``context`` is a folder, a git or http address, an archive (path or bytes), or a mapping
        of names to contents.  The values of ``build_context`` (a mapping, or ``NAME=value``
        strings) are the same, or images (``docker-image://``, ``oci-layout://``).  ``files`` maps
        names to contents that COPY finds in addition to the context.
        """
        values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
        tags = as_sequence(values.pop("tag", None)) + as_sequence(values.pop("tags", None))
        args = _build_args(values.pop("build_arg", None) or values.pop("build_args", ()))
        labels = parse_labels(values.pop("label", None) or values.pop("labels", ()))
        secrets = dict(_secret(text) for text in as_sequence(values.pop("secret", None)))
        secrets |= _given(values.pop("secret_values", None) or {})
        values["outputs"] = _outputs(values)
        values |= {
            "build_contexts": named_contexts(
                values.pop("build_context", None) or values.pop("build_contexts", ())
            ),
            "files": contents(values.pop("files", {})),
            **_of_steps(values),
        }
        values |= {
            "annotations": Annotations.parse(as_sequence(values.pop("annotation", None))),
            "cache_from": _places(CachePlace.source, values.pop("cache_from", None)),
            "cache_to": _places(CachePlace.target, values.pop("cache_to", None)),
        }
        _check_words(values)
        values["platform"] = ",".join(_platforms(as_sequence(values.get("platform"))))
        if "," in values["platform"]:
            require_single(values["outputs"])
        else:
            require_index(values["outputs"], values["annotations"])
        if "no_cache_filter" in values:
            values["no_cache_filter"] = tuple(_names(as_sequence(values["no_cache_filter"])))
        if "leave_out" in values:
            values["leave_out"] = as_sequence(values["leave_out"])
        for name in ("file", "iidfile", "metadata_file"):
            if name in values:
                values[name] = Path(values[name])
        known = {item.name for item in fields(cls)} - {"context"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r}",
                hint=nearest(unknown[0], known.union(keywords(BuildFlags))),
            )
        return cls(
            ContextSource.of(context),
            tags=tags,
            build_args=args,
            labels=labels,
            secrets=secrets,
            **values,
        )


def _check_words(values: Mapping[str, Any]) -> None:
    """Raise for a format or an isolation that does not exist."""
    if values.get("format", "oci") not in ("oci", "docker"):
        raise InvalidArgumentError(f"invalid format {values['format']!r}", hint="oci or docker")
    if values.get("isolation", "") not in ISOLATIONS:
        raise InvalidArgumentError(
            f"invalid isolation {values['isolation']!r}", hint="default, oci or chroot"
        )


_OF_STEPS = {flag.key: flag for flag in declared(BuildFlags) if flag.reads}


def _of_steps(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of RUN steps, grouped in one value."""
    return {
        "ssh": dict(_ssh(text) for text in as_sequence(values.get("ssh"))),
        "allow": _entitlements(as_sequence(values.get("allow"))),
        **{name: read(flag, values[name]) for name, flag in _OF_STEPS.items() if name in values},
    }


def _platforms(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(Platform.parse(name)) for name in _names(texts)))


def _names(texts: Sequence[str]) -> list[str]:
    """Return the names in strings that may each contain several, separated by commas."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def _ssh(text: str) -> tuple[str, tuple[Path, ...]]:
    """Return the id and the socket or keys of ``--ssh default|id[=PATH[,PATH…]]``."""
    name, _, paths = text.partition("=")
    found = tuple(local_path(path) for path in paths.split(",") if path)
    if not found:
        agent = os.environ.get("SSH_AUTH_SOCK", "")
        if not agent:
            raise InvalidArgumentError(
                f"--ssh {name} needs an SSH agent, and SSH_AUTH_SOCK is not set",
                hint=f"start ssh-agent, or name a key: --ssh {name}=PATH",
            )
        found = (Path(agent),)
    return name or "default", found


def _entitlements(texts: Sequence[str]) -> frozenset[str]:
    names = frozenset(name for text in texts for name in text.split(",") if name)
    for name in sorted(names - ENTITLEMENTS):
        raise InvalidArgumentError(
            f"unknown entitlement {name!r}", hint=f"one of {', '.join(sorted(ENTITLEMENTS))}"
        )
    return names


def _outputs(values: dict[str, Any]) -> tuple[BuildOutput, ...]:
    """Remove the flags about outputs from ``values`` and return them as options."""
    texts = as_sequence(values.pop("output", None))
    push, load = values.pop("push", False), values.pop("load", False)
    parsed = [BuildOutput.parse(text) for text in texts]
    if push and not any(output.type == "image" for output in parsed):
        parsed.append(BuildOutput())
    if push:
        parsed = [replace(one, push=True) if one.type == "image" else one for one in parsed]
    if load and not any(output.in_store for output in parsed):
        parsed.append(BuildOutput())
    return (*values.pop("outputs", ()), *parsed)


def _places(read: Callable[[str], CachePlace], entries: Any) -> tuple[CachePlace, ...]:
    return tuple(read(text) for text in as_sequence(entries) if text)


def _given(entries: Mapping[str, str | bytes]) -> dict[str, SecretSource]:
    return {
        name: SecretSource(value=value.encode() if isinstance(value, str) else bytes(value))
        for name, value in entries.items()
    }


def _build_args(entries: Any) -> dict[str, str]:
    result: dict[str, str] = {}
    if os.environ.get(EPOCH_ARG):
        result[EPOCH_ARG] = os.environ[EPOCH_ARG]
    if isinstance(entries, Mapping):
        return result | {str(name): str(value) for name, value in entries.items()}
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
    if "var" in pairs:
        raise InvalidArgumentError(
            f"secret {text!r} names a notebook variable, but this is not a notebook",
            hint="in Python: secret_values={'id': value}; in a terminal: env=VARIABLE",
        )
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
    return name, SecretSource(file=local_path(pairs.get("src") or name))
