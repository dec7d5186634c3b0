"""The flags of Dockerfile instructions: one declaration each, beside the field it sets.

``COPY --chown=…`` is the field ``chown`` of :class:`.instructions.Copy`, annotated with an
:class:`InstructionFlag`.  The interpreter, the expansion of variables, the cache key, history,
completion and help read the declaration.

A flag's value is written into the cache key of its step, unless the declaration names another part
of the key that changes with it (:data:`Effect`).  A flag that is forgotten elsewhere makes a step
run once too often, and never gives a stale layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_type_hints

from jupyter_containers.build.arguments import Flags
from jupyter_containers.lazy_dataclasses import dataclass, replace

if TYPE_CHECKING:
    from jupyter_containers.build.instructions import Instruction

Kind = Literal["one", "many", "switch"]

Effect = Literal["written", "sources", "parent", "platform", "configuration"]
"""How a flag enters the cache key of its step.

``written``: as written, in the part :attr:`InstructionFlag.part`.  ``sources``: it selects the
files to read, and the key has their digests.  ``parent``: the key has no parent. ``platform``:
every key has the platform.  ``configuration``: in no key, because it changes no file.
"""

_Written = TypeVar("_Written", bound="Instruction")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionFlag:
    """One flag: ``one`` value, ``many`` values, or a ``switch``.

    ``of`` names the keywords that accept it, if the class has several.  ``spelled`` returns the
    words of the key for a value, by default ``--name=value``; ``always`` writes the default too.
    ``begins`` is the text that completion offers instead of ``--name=``.
    """

    help: str
    kind: Kind = "one"
    name: str = ""
    field: str = ""
    of: tuple[str, ...] = ()
    expand: bool = False
    in_history: bool = False
    effect: Effect = "written"
    part: str = "flags"
    spelled: Callable[[Any], Iterable[str]] | None = None
    always: bool = False
    begins: str = ""

    @property
    def completion(self) -> str:
        """The text that completion offers."""
        return self.begins or (f"--{self.name}" if self.kind == "switch" else f"--{self.name}=")

    def words(self, value: Any) -> tuple[str, ...]:
        """Return the flag with a value as written, one word for each value."""
        if self.kind == "switch":
            return (f"--{self.name}" if value else f"--{self.name}=false",)
        values = value if self.kind == "many" else (value,)
        return tuple(f"--{self.name}={one}" for one in values)

    def key_words(self, value: Any) -> tuple[str, ...]:
        """Return the words of the cache key for a value."""
        return self.words(value) if self.spelled is None else tuple(self.spelled(value))


def declared(kind: type) -> tuple[InstructionFlag, ...]:
    """Return the flags that a class of instructions declares, in the order of its fields."""
    return _declared(kind)


@cache
def _declared(kind: type) -> tuple[InstructionFlag, ...]:
    found: list[InstructionFlag] = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for flag in getattr(hint, "__metadata__", ()):
            if isinstance(flag, InstructionFlag):
                word = flag.name or name.rstrip("_").replace("_", "-")
                found.append(replace(flag, name=word, field=name))
    return tuple(found)


def flags_of(kind: type, keyword: str) -> tuple[InstructionFlag, ...]:
    """Return the flags allowed after ``keyword``."""
    return tuple(flag for flag in declared(kind) if not flag.of or keyword in flag.of)


def read_flags(kind: type, keyword: str, given: Iterable[str]) -> dict[str, Any]:
    """Return the values of the fields set by the given ``--name[=value]`` words."""
    known = {flag.name: flag for flag in flags_of(kind, keyword)}
    flags = Flags(given, {name: flag.kind for name, flag in known.items()})
    read: dict[Kind, Callable[[str], Any]] = {
        "one": flags.one,
        "many": flags.many,
        "switch": flags.switch,
    }
    return {known[name].field: read[known[name].kind](name) for name in flags.values}


def expanded(instruction: _Written, expand: Callable[[str], str]) -> _Written:
    """Return an instruction with the variables in its flags replaced by their values."""
    values: dict[str, Any] = {}
    for flag in declared(type(instruction)):
        value = getattr(instruction, flag.field)
        if flag.expand:
            values[flag.field] = (
                tuple(expand(one) for one in value) if flag.kind == "many" else expand(value)
            )
    return replace(instruction, **values)


def key_parts(instruction: Instruction) -> Mapping[str, tuple[str, ...]]:
    """Return the parts of a step's cache key made from its flags: part → words."""
    defaults = {item.name: item.default for item in fields(instruction)}
    parts: dict[str, tuple[str, ...]] = {}
    for flag in declared(type(instruction)):
        value = getattr(instruction, flag.field)
        if flag.effect == "written" and (flag.always or value != defaults[flag.field]):
            parts[flag.part] = (*parts.get(flag.part, ()), *flag.key_words(value))
    return parts


def history_words(instruction: Instruction) -> tuple[str, ...]:
    """Return the flags to show in the history."""
    return tuple(
        word
        for flag in declared(type(instruction))
        if flag.in_history and getattr(instruction, flag.field)
        for word in flag.words(getattr(instruction, flag.field))
    )
