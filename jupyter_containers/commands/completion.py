"""Completion of a command line, from the grammar and the objects in the store.

Nothing here is slow and nothing raises: typing must not be interrupted by waits or errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from jupyter_containers.commands.grammar import GROUPS, members, spellings
from jupyter_containers.commands.words import Flag, Operand, Verb

# ``names("image")`` returns the names of all images; likewise container, network, volume, and in a
# notebook session.
_NAMED = ("container", "network", "session", "volume")
Names = Callable[[str], Iterable[str]]


def complete(words: Sequence[str], token: str, names: Names) -> list[str]:
    """Return the completions of ``token``, which follows the finished ``words``."""
    known = spellings()
    if not words:
        firsts = {name.partition(" ")[0] for name in known} | set(GROUPS) | {"help"}
        return _starting(sorted(firsts), token)
    if words[0] == "help":
        words = words[1:]
        if not words:
            return _starting(sorted({*GROUPS, *(n for n in known if " " not in n)}), token)
    two = " ".join(words[:2])
    if two in known:
        return complete_verb(known[two], words[2:], token, names)
    if words[0] in GROUPS and len(words) == 1:
        return _starting([name for name, _ in members(words[0])], token)
    if words[0] in known:
        return complete_verb(known[words[0]], words[1:], token, names)
    return []


def complete_verb(verb: Verb, words: Sequence[str], token: str, names: Names) -> list[str]:
    """Return the completions of ``token`` after a verb and ``words``."""
    operands, waiting = _read(verb, words)
    if waiting is not None:
        return _flag_values(waiting, token, names)
    if verb.stops_at_operand and operands:
        return []  # the command's own words
    if token.startswith("--") and "=" in token:
        name, _, value = token[2:].partition("=")
        flag = _long_flags(verb).get(name)
        found = _flag_values(flag, value, names) if flag else []
        return [f"--{name}={item}" for item in found]
    if token.startswith("-"):
        short = [f"-{flag.short}" for flag in verb.flags if flag.short]
        long = [f"--{name}" for name in [*_long_flags(verb), "help"]]
        return _starting(sorted(long) + sorted(short), token)
    operand = _operand_at(verb, operands)
    return _starting(_operand_values(operand, names), token) if operand else []


def _long_flags(verb: Verb) -> dict[str, Flag]:
    return {name: flag for flag in verb.flags for name in (flag.name, *flag.aliases)}


def _read(verb: Verb, words: Sequence[str]) -> tuple[int, Flag | None]:
    """Return the number of operands, and the flag whose value is missing, if any."""
    long, short = _long_flags(verb), {flag.short: flag for flag in verb.flags if flag.short}
    operands = 0
    waiting: Flag | None = None
    for index, word in enumerate(words):
        if waiting is not None:
            waiting = None
        elif word == "--":
            return operands + len(words) - index - 1, None
        elif word.startswith("--"):
            flag = long.get(word[2:])
            waiting = flag if flag and flag.kind != "bool" else None
        elif word.startswith("-") and len(word) > 1:
            last = _last_letter(word[1:], short)
            waiting = last
        else:
            operands += 1
            if verb.stops_at_operand:
                return operands, None
    return operands, waiting


def _last_letter(letters: str, short: dict[str, Flag]) -> Flag | None:
    """Return the flag at the end of ``-itp`` that takes the next word as its value."""
    for position, letter in enumerate(letters):
        flag = short.get(letter)
        if flag is None:
            return None
        if flag.kind != "bool":
            return flag if position == len(letters) - 1 else None
    return None


def _operand_at(verb: Verb, index: int) -> Operand | None:
    for operand in verb.operands:
        if operand.arity in ("some", "any", "rest") or index == 0:
            return operand
        index -= 1
    return None


def _operand_values(operand: Operand, names: Names) -> list[str]:
    word = operand.metavar
    if operand.name == "reference" or "IMAGE" in word:
        return sorted(names("image"))
    if word == "NAME|ID":
        kinds = ("container", "image", "network", "volume")
        return sorted({name for kind in kinds for name in names(kind)})
    kind = word.partition(":")[0].lower()
    return sorted(names(kind)) if kind in _NAMED else []


def _flag_values(flag: Flag, token: str, names: Names) -> list[str]:
    known: Iterable[str] = flag.values
    if flag.names == "volume":
        known = [f"{name}:" for name in sorted(names("volume"))] if ":" not in token else ()
    elif flag.names:
        known = sorted({*flag.values, *names(flag.names)})
    return _starting(known, token)


def _starting(candidates: Iterable[str], token: str) -> list[str]:
    return [item for item in candidates if item.startswith(token)]
