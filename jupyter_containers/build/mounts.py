"""The values of ``RUN --mount``: comma-separated ``key=value`` pairs, variables expanded.

Follows the Dockerfile reference, "RUN --mount".  ``bind`` is read-only unless ``rw``; ``cache``
and ``tmpfs`` are writable.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Callable, Mapping

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import csv
from jupyter_containers.options.values import parse_size

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARINGS = ("shared", "private", "locked")


@dataclass(frozen=True, slots=True)
class MountKey:
    """One key: its other names, the mount types that allow it (none: all), its known values.

    A ``switch`` may be written without a value, and means true then.
    """

    name: str
    aliases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    switch: bool = False

    @property
    def completion(self) -> str:
        """The text that completion offers."""
        return self.name if self.switch else f"{self.name}="


_OWNED = ("cache", "secret", "ssh")
KEYS: Mapping[str, MountKey] = {
    key.name: key
    for key in (
        MountKey("type", values=TYPES),
        MountKey("from"),
        MountKey("source", ("src",)),
        MountKey("target", ("dst", "destination")),
        MountKey("readonly", ("ro",), switch=True),
        MountKey("readwrite", ("rw",), switch=True),
        MountKey("id"),
        MountKey("sharing", types=("cache",), values=SHARINGS),
        MountKey("required", types=("secret", "ssh"), switch=True),
        MountKey("mode", types=_OWNED),
        MountKey("uid", types=_OWNED),
        MountKey("gid", types=_OWNED),
        MountKey("size", types=("tmpfs",)),
        MountKey("env", types=("secret",)),
    )
}
_NAMES = {word: key.name for key in KEYS.values() for word in (key.name, *key.aliases)}


@dataclass(frozen=True, slots=True)
class MountSpec:
    """One ``--mount``; ``mode``, ``uid`` and ``gid`` are None if not given."""

    type: str
    target: str
    source: str = ""
    from_: str = ""
    read_only: bool = True
    id: str = ""
    sharing: str = "shared"
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int = 0
    env: str = ""


def mount_source(text: str) -> str:
    """Return the stage or image of a ``--mount`` value, or an empty text."""
    return next((value for key, value in _fields(text) if key == "from"), "")


def parse_run_mount(text: str, expand: Callable[[str], str], working_dir: str) -> MountSpec:
    """Return the parsed ``--mount`` value; raise :class:`InvalidArgumentError`."""
    pairs: dict[str, str] = {}
    for key, value in _fields(text):
        if key not in KEYS:
            near = difflib.get_close_matches(key, _NAMES, 1, 0.6)
            raise InvalidArgumentError(
                f"unexpected key {key!r} in --mount={text}",
                hint=f"did you mean {near[0]}?" if near else "",
            )
        pairs[key] = expand(value)
    kind = pairs.get("type", "bind").lower()
    if kind not in TYPES:
        raise InvalidArgumentError(
            f"unsupported mount type {kind!r}", hint=f"one of {', '.join(TYPES)}"
        )
    for key in pairs:
        if KEYS[key].types and kind not in KEYS[key].types:
            raise InvalidArgumentError(f"{key} is not allowed in a mount of type {kind}")
    sharing = pairs.get("sharing", "shared").lower()
    if sharing not in SHARINGS:
        raise InvalidArgumentError(
            f"unsupported sharing value {sharing!r}", hint=f"one of {', '.join(SHARINGS)}"
        )
    if kind == "cache" and pairs.get("source") and not pairs.get("from"):
        raise InvalidArgumentError(
            "source needs from in a mount of type cache", hint="from=STAGE or from=IMAGE"
        )
    if kind == "secret" and not (pairs.get("id") or pairs.get("source") or pairs.get("target")):
        raise InvalidArgumentError("a mount of type secret needs an id")
    target = _target(kind, pairs, working_dir)
    return MountSpec(
        type=kind,
        target=target,
        source=pairs.get("source", ""),
        from_=pairs.get("from", ""),
        read_only=_read_only(kind, pairs),
        id=pairs.get("id", "") or _default_id(kind, target, pairs),
        sharing=sharing,
        required=_boolean(pairs.get("required", "false"), "required"),
        mode=_number(pairs, "mode", 8),
        uid=_number(pairs, "uid", 10),
        gid=_number(pairs, "gid", 10),
        size=parse_size(pairs.get("size", "0"), "size"),
        env=pairs.get("env", ""),
    )


def _fields(text: str) -> list[tuple[str, str]]:
    if "\n" in text or "\0" in text:
        raise InvalidArgumentError(f"invalid --mount value: {text!r}")
    try:
        row = next(csv.reader([text]), [])
    except csv.Error as error:
        raise InvalidArgumentError(f"invalid --mount value: {error}") from error
    found: list[tuple[str, str]] = []
    for item in row:
        key, equals, value = item.partition("=")
        key = _NAMES.get(key.lower(), key.lower())
        if not equals and not (key in KEYS and KEYS[key].switch):
            raise InvalidArgumentError(f"invalid field {item!r} in --mount: write key=value")
        found.append((key, value if equals else "true"))
    return found


def _target(kind: str, pairs: dict[str, str], working_dir: str) -> str:
    target = pairs.get("target", "")
    if kind == "secret" and not target:
        if pairs.get("env"):
            return ""  # a variable only
        return f"/run/secrets/{posixpath.basename(pairs.get('id') or pairs.get('source', ''))}"
    if kind == "ssh" and not target:
        return "/run/buildkit/ssh_agent.0"
    if not target:
        raise InvalidArgumentError(f"a mount of type {kind} needs a target")
    path = posixpath.normpath(posixpath.join("/", working_dir or "/", target))
    path = path.replace("//", "/", 1)
    if path == "/":
        raise InvalidArgumentError(f"invalid mount target {target!r}")
    return path


def _default_id(kind: str, target: str, pairs: dict[str, str]) -> str:
    if kind == "cache":
        return target
    if kind == "ssh":
        return "default"
    return posixpath.basename(pairs.get("source", "") or target) if kind == "secret" else ""


def _read_only(kind: str, pairs: dict[str, str]) -> bool:
    if "readonly" in pairs:
        return _boolean(pairs["readonly"], "readonly")
    if "readwrite" in pairs:
        return not _boolean(pairs["readwrite"], "readwrite")
    return kind not in ("cache", "tmpfs")


def _boolean(text: str, key: str) -> bool:
    if text.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise InvalidArgumentError(f"invalid value for {key}: {text!r}")
    return text.lower() in ("1", "t", "true")


def _number(pairs: dict[str, str], key: str, base: int) -> int | None:
    if key not in pairs:
        return None
    if not re.fullmatch(r"[0-7]{1,6}" if base == 8 else r"[0-9]{1,10}", pairs[key]):
        raise InvalidArgumentError(f"invalid value for {key}: {pairs[key]!r}")
    return int(pairs[key], base)
