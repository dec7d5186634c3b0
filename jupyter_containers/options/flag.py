"""One option of a verb: how it is written, read, completed, explained and shown by ``inspect``.

A verb family declares its options as a ``TypedDict`` (:mod:`.flags`): each key is the option's name
in Python, its type the accepted values, and its :class:`Flag` holds everything else.  So an editor
completes ``engine.run(…, memory=``, and grammar, help, completion, parsing and ``inspect`` have one
source.  A key without a Flag is only a keyword in Python.

This module imports nothing slow, because every command reads the grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from types import FunctionType
from typing import Any, Literal, TypeVar

from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.lazy_modules import inspect

FlagKind = Literal["bool", "text", "int", "list"]
Names = Literal["", "container", "image", "network", "volume"]
Reading = Literal[
    "",
    "addresses",
    "argument vector",
    "byte rates",
    "cpus",
    "cpuset",
    "device rules",
    "devices",
    "folder",
    "hosts",
    "log options",
    "microseconds",
    "pairs",
    "ports",
    "ports to expose",
    "rates",
    "resolver words",
    "restart policy",
    "security options",
    "signal",
    "size",
    "size or -1",
    "streams",
    "text",
    "ulimits",
    "volumes from",
    "weight",
    "weights",
    "whole number",
    "words",
]
"""The parser of a value (:mod:`.readers`); empty: the value is not parsed."""

Function = TypeVar("Function", bound=Callable[..., Any])
Block = Literal["host", "isolation", "resources"]
_AS_IT_IS: Any = object()


@dataclass(frozen=True, slots=True)
class Shown:
    """A field of Docker's ``HostConfig``, by its block there.

    ``empty`` is shown for a value that was not given; ``number`` is the key of a device's number.
    """

    name: str
    block: Block = "host"
    empty: Any = _AS_IT_IS
    number: str = ""

    def value(self, given: Any) -> Any:
        """Return the JSON value of an option's value."""
        if not given and self.empty is not _AS_IT_IS:
            return self.empty
        if self.number:
            return [{"Path": one.path, self.number: one.value} for one in given]
        if isinstance(given, tuple):
            return [str(one) for one in given]
        return given if isinstance(given, (str, int, float)) else dict(given)


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: ``list`` may be repeated, ``bool`` takes no value (or ``=false``).

    ``keyword`` is its name in Python; by default the name in snake_case.  Completion offers
    ``values``, and the existing ``names`` of a kind of object.  ``by_client`` marks a value that
    Docker's client refuses, so that ``create`` exits with 125 as for an unknown flag.  ``redirect``
    is the shell's operator that stands for the flag in a pasted line (``save IMAGE > FILE``).
    """

    name: str = ""
    help: str = ""
    kind: FlagKind = "text"
    short: str = ""
    metavar: str = ""
    aliases: tuple[str, ...] = ()
    keyword: str = ""
    values: tuple[str, ...] = ()
    names: Names = ""
    reads: Reading = ""
    by_client: bool = False
    shown: Shown | None = None
    redirect: Literal["", "<", ">"] = ""

    @property
    def key(self) -> str:
        """The flag's name in Python."""
        return self.keyword or self.name.replace("-", "_")

    @property
    def spelling(self) -> str:
        """The flag as in a help text: ``-p, --publish list``."""
        letter = f"-{self.short}, " if self.short else "    "
        value = (
            ""
            if self.kind == "bool"
            else self.metavar or {"text": "string"}.get(self.kind, self.kind)
        )
        return f"{letter}--{self.name} {value}".rstrip()


@cache
def declared(family: type) -> tuple[Flag, ...]:
    """Return the flags that a family declares, by name."""
    found = []
    for key, hint in family.__annotations__.items():
        for flag in getattr(hint, "__metadata__", ()):
            if isinstance(flag, Flag):
                name = flag.name or key.replace("_", "-")
                found.append(replace(flag, name=name, keyword=key if flag.name else ""))
    return tuple(sorted(found, key=lambda flag: flag.name))


def with_keywords(family: type) -> Callable[[Function], Function]:
    """Name the options in the signature of a function that takes ``**flags: Unpack[family]``.

    A type checker does not need this; a notebook's kernel completes the names in the signature.
    """

    def change(function: Function) -> Function:
        function.__signature__ = _Signature(function, family)  # type: ignore[attr-defined]  # inspect reads it from any function
        return function

    return change


class _Signature:
    """A function's signature with the options of a family, made when somebody reads it.

    ``inspect``, which is slow to import, accepts it as one of its signatures.
    """

    def __init__(self, function: Any, family: type) -> None:
        self._function, self._family = function, family

    @property  # type: ignore[misc]  # for isinstance
    def __class__(self) -> type:
        return inspect.Signature

    @cached_property
    def _made(self) -> Any:
        plain = FunctionType(self._function.__code__, self._function.__globals__)
        plain.__defaults__ = self._function.__defaults__
        plain.__kwdefaults__ = self._function.__kwdefaults__
        plain.__annotations__ = self._function.__annotations__
        own = inspect.signature(plain)
        named = [item for item in own.parameters.values() if item.kind is not item.VAR_KEYWORD]
        options = [
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=getattr(hint, "__origin__", hint),
            )
            for key, hint in self._family.__annotations__.items()
            if key not in own.parameters
        ]
        return own.replace(parameters=[*named, *options])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._made == other)

    def __hash__(self) -> int:
        return hash(self._made)

    def __str__(self) -> str:
        return str(self._made)

    def __repr__(self) -> str:
        return repr(self._made)


def keywords(family: type) -> tuple[str, ...]:
    """Return the Python names of a family's options."""
    return tuple(family.__annotations__)
