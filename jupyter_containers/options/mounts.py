"""The mounts of ``-v``, ``--mount`` and ``--tmpfs``.

A *bind* mounts a folder of the host, a *volume* one of the store, a *tmpfs* memory.  The keys of
``--mount`` are Docker's; one without a meaning here is refused, never ignored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.errors import FlagError, InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.values import check_name, csv_fields, parse_size
from jupyter_containers.options.written import Written

if TYPE_CHECKING:
    from dataclasses import KW_ONLY

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
# Docker's values of bind-recursive: the treatment of mounts below a bind.
Recursion = Literal["enabled", "disabled", "writable", "readonly"]
_RECURSIONS = ("enabled", "disabled", "writable", "readonly")


@dataclass(frozen=True, slots=True)
class MountRequest:
    """A volume, bind or tmpfs that the user requested.

    ``source`` is a host path (bind), a volume's name, or empty (anonymous volume, tmpfs);
    ``size`` is in bytes and ``mode`` an octal mode, for tmpfs only.  ``options`` are words of
    mount(8): the propagation of a bind, any for a tmpfs.  ``subpath`` is a folder or file inside
    the volume; ``labels`` and ``driver_options`` are for a volume created by this request.
    ``relabel`` is ``z`` or ``Z``: the SELinux label that lets all containers, or only this one,
    use the source.  ``flag`` is the flag of this mount and ``written`` its options there, which
    ``inspect`` shows.
    """

    type: Literal["bind", "volume", "tmpfs"]
    target: str
    source: str = ""
    _: KW_ONLY
    read_only: bool = False
    size: int = 0
    mode: int = 0o1777
    options: tuple[str, ...] = ()
    copy: bool = True
    create_source: bool = False
    recursion: Recursion = "enabled"
    subpath: str = ""
    labels: tuple[str, ...] = ()
    driver_options: tuple[str, ...] = ()
    relabel: str = ""
    flag: Literal["volume", "mount", "tmpfs"] = "mount"
    written: str = ""


def parse_volume(text: str) -> MountRequest:
    """Return the mount of one ``-v`` value: ``[source:]target[:options]``."""
    parts = text.split(":")
    if len(parts) == 1:
        return MountRequest("volume", _target(text, text), flag="volume")
    if len(parts) > 3 or not parts[0]:
        raise InvalidArgumentError(f"invalid volume: {text!r}", hint=_VOLUMES)
    source, target = parts[0], _target(parts[1], text)
    options = tuple(option for option in (parts[2].split(",") if len(parts) == 3 else []) if option)
    known = {"ro", "rw", "z", "Z", "nocopy", "delegated", "cached", "consistent", *PROPAGATIONS}
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InvalidArgumentError(
            f"invalid volume: {text!r}: option {unknown[0]!r}", hint=_VOLUMES
        )
    is_path = source.startswith(("/", "./", "../", "~")) or source in (".", "..")
    propagation = tuple(option for option in options if option in PROPAGATIONS)
    if not is_path:
        if "$" in source:
            raise InvalidArgumentError(
                f"invalid volume: {text!r}: no shell expands {source!r} here",
                hint="write /dir, ./dir or ~/dir; in a notebook {{name}} is a variable of Python",
            )
        if "/" in source:
            raise InvalidArgumentError(
                f"invalid volume: {text!r}: {source!r} is not a valid volume name",
                hint=f"the path of a folder begins with / or ./, as in ./{source}:{target}",
            )
        check_name(source, "volume")
        if propagation:
            raise InvalidArgumentError(
                f"invalid volume: {text!r}: propagation is only for folders of the host"
            )
    return MountRequest(
        "bind" if is_path else "volume",
        target,
        source,
        read_only="ro" in options,
        options=propagation,
        copy="nocopy" not in options,
        create_source=is_path,
        relabel=next((option for option in options if option in ("z", "Z")), ""),
        flag="volume",
        written=parts[2] if len(parts) == 3 else "",
    )


_VOLUMES = "write name:/path, ./dir:/path:ro or /path"


def parse_mount(text: str) -> MountRequest:
    """Return the mount of one ``--mount`` value: ``type=bind,source=…,target=…[,readonly]``."""
    pairs, several = _pairs(text)
    kind = pairs.pop("type", "volume")
    if kind not in ("bind", "volume", "tmpfs"):
        raise InvalidArgumentError(f"invalid mount: {text!r}: type {kind!r}", hint=_MOUNTS)
    source = pairs.pop("source", pairs.pop("src", ""))
    target = pairs.pop("target", pairs.pop("destination", pairs.pop("dst", "")))
    if not target:
        raise FlagError(f"invalid mount: {text!r}: a target is required", hint=_MOUNTS)
    read_only = _flag_value(pairs, "readonly", text) or _flag_value(pairs, "ro", text)
    pairs.pop("consistency", "")  # a key for Docker's virtual machines, without effect on Linux
    foreign = [key for key in (*pairs, *several) if not key.startswith(f"{kind}-")]
    if foreign:
        word = foreign[0]
        why = "belongs to another type" if "-" in word else "unknown key"
        raise InvalidArgumentError(f"invalid mount: {text!r}: {why}: {word!r}", hint=_MOUNTS)
    if kind == "bind" and not source:
        raise InvalidArgumentError(f"invalid mount: {text!r}: a bind needs a source", hint=_MOUNTS)
    if kind == "tmpfs" and source:
        raise InvalidArgumentError(f"invalid mount: {text!r}: a tmpfs has no source", hint=_MOUNTS)
    size = parse_size(pairs.pop("tmpfs-size", "0"), "tmpfs-size")
    mode = _mode(pairs.pop("tmpfs-mode", "1777"))
    copy = not _flag_value(pairs, "volume-nocopy", text)
    propagation = pairs.pop("bind-propagation", "")
    if propagation and propagation not in PROPAGATIONS:
        raise InvalidArgumentError(
            f"invalid mount: {text!r}: bind-propagation {propagation!r}",
            hint=f"one of {', '.join(PROPAGATIONS)}",
        )
    driver = pairs.pop("volume-driver", "local")
    if driver != "local":
        raise UnsupportedError(
            f"the volume driver {driver!r} is not supported here",
            capability=f"volume driver {driver}",
            provided_by="volumes of the driver local, and binds",
        )
    recursion = _recursion(pairs, text, read_only=read_only, propagation=propagation)
    create = _flag_value(pairs, "bind-create-src", text)
    subpath = pairs.pop("volume-subpath", "")
    if pairs:
        raise InvalidArgumentError(
            f"invalid mount: {text!r}: unknown key {next(iter(pairs))!r}", hint=_MOUNTS
        )
    return MountRequest(
        kind,  # type: ignore[arg-type]  # checked above
        _target(target, text),
        source,
        read_only=read_only,
        size=size,
        mode=mode,
        options=(propagation,) if propagation else (),
        copy=copy,
        create_source=create,
        recursion=recursion,
        subpath=subpath,
        labels=tuple(several.get("volume-label", ())),
        driver_options=tuple(several.get("volume-opt", ())),
    )


_MOUNTS = "write type=bind,source=/host/dir,target=/dir,readonly"
_REPEATED = ("volume-label", "volume-opt")


def _pairs(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the keys of a ``--mount`` value, and those that may be repeated."""
    pairs: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for item in csv_fields(text, "mount", _MOUNTS):
        key, _, value = item.partition("=")
        key = key.strip().lower()
        if key in _REPEATED:
            several.setdefault(key, []).append(value)
        else:
            pairs[key] = value.strip()
    return pairs, several


def _recursion(pairs: dict[str, str], text: str, *, read_only: bool, propagation: str) -> Recursion:
    word = pairs.pop("bind-recursive", "enabled")
    if _flag_value(pairs, "bind-nonrecursive", text):
        word = "disabled"
    if word in ("true", "1"):
        word = "enabled"
    if word not in _RECURSIONS:
        raise InvalidArgumentError(
            f"invalid mount: {text!r}: bind-recursive {word!r}",
            hint=f"one of {', '.join(_RECURSIONS)}",
        )
    if word in ("writable", "readonly") and not read_only:
        raise InvalidArgumentError(
            f"invalid mount: {text!r}: bind-recursive={word} needs readonly too"
        )
    if word == "readonly" and propagation != "rprivate":
        raise InvalidArgumentError(
            f"invalid mount: {text!r}: bind-recursive=readonly needs bind-propagation=rprivate too"
        )
    return word  # type: ignore[return-value]  # checked above


def parse_tmpfs(text: str) -> MountRequest:
    """Return the mount of one ``--tmpfs`` value: ``/path[:size=64m,mode=1777,…]``."""
    target, _, rest = text.partition(":")
    size, mode, read_only, options = 0, 0o1777, False, []
    for item in filter(None, rest.split(",")):
        if item.startswith("size="):
            size = parse_size(item[5:], "tmpfs size")
        elif item.startswith("mode="):
            mode = _mode(item[5:])
        elif item in ("ro", "rw"):
            read_only = item == "ro"
        else:
            options.append(item)
    place = _target(target, text)
    return MountRequest(
        "tmpfs",
        place,
        "",
        read_only=read_only,
        size=size,
        mode=mode,
        options=tuple(options),
        flag="tmpfs",
        written=rest,
    )


class VolumesFrom(Written):
    """A container whose volumes are mounted: ``NAME[:ro|rw]``; ``mode`` may be empty."""

    __slots__ = ("mode", "name")
    name: str
    mode: str

    def read(self) -> dict[str, Any]:
        """Return the container's name and the mode."""
        name, _, mode = self.partition(":")
        words = set(filter(None, mode.split(",")))
        if not name or words - {"ro", "rw", "z", "Z"} or {"ro", "rw"} <= words:
            raise InvalidArgumentError(
                f"invalid volumes-from: {str(self)!r}", hint="write CONTAINER or CONTAINER:ro"
            )
        return {"name": name, "mode": "ro" if "ro" in words else "rw" if "rw" in words else ""}


def _target(path: str, whole: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgumentError(
            f"invalid mount {whole!r}: the container's path must be absolute", hint=_VOLUMES
        )
    if path.strip("/") == "":
        raise InvalidArgumentError(f"invalid mount {whole!r}: the container's path cannot be /")
    return path


def _flag_value(pairs: dict[str, str], key: str, text: str) -> bool:
    if key not in pairs:
        return False
    value = pairs.pop(key).lower()
    if value not in ("", "1", "true", "0", "false"):
        raise InvalidArgumentError(f"invalid mount: {text!r}: {key} must be true or false")
    return value in ("", "1", "true")


def _mode(text: str) -> int:
    if not re.fullmatch("0*[0-7]{1,4}", text):
        raise InvalidArgumentError(f"invalid mode: {text!r}", hint="write it in octal: 1777")
    return int(text, 8)
