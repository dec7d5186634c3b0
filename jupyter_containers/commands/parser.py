"""Parses words into a :class:`~jupyter_containers.commands.words.Parsed`, as Docker does.

Flags may be ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``, ``-n=value``; letters
combine (``-it``, ``-dp 80:80``); ``--`` ends the flags.  The last value of a repeated flag counts;
a list flag collects all.  Every mistake raises :class:`InvalidArgumentError` with the closest
match.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_containers.commands.absent import INSTEAD
from jupyter_containers.commands.grammar import GROUPS, members, spellings, verb_named
from jupyter_containers.commands.grammar.contexts import CONTEXT
from jupyter_containers.commands.words import Flag, Operand, Parsed, Verb
from jupyter_containers.errors import FlagError, InvalidArgumentError, UsageError
from jupyter_containers.lazy_dataclasses import replace

IsData = Callable[[str], bool]

_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}


def parse(
    words: Sequence[str], extra: Sequence[Flag] = (), is_data: IsData | None = None
) -> Parsed:
    """Return the parsed command of ``words`` (verb first).

    ``extra`` are a front end's own flags, for every verb without a flag of that name; for ``run``
    in a notebook, ``is_data`` decides whether the word after ``-i`` is a variable to pass (``df``,
    ``df=df.csv``) or, as in Docker, the next flag or the image.
    """
    if not words or words[0] in ("--help", "-h"):
        return Parsed(None, help=True)
    if words[0] == "compose":
        from jupyter_containers.commands.grammar.compose import reordered

        words = reordered(words)
    _check_text(words)
    if words[0] == "help":
        return _help_topic(words[1:])
    verb, count = verb_of(words)
    if verb is not None:
        return _parse_known(verb, words[count:], extra, is_data)
    two = " ".join(words[:2])
    if words[0] in GROUPS:
        if len(words) == 1 or words[1] in ("--help", "-h"):
            return Parsed(None, help=True, topic=words[0])
        names = [name for name, _ in members(words[0])]
        raise InvalidArgumentError(
            f"unknown command: {two!r}",
            hint=INSTEAD.get(two) or _near(words[1], names) or f"one of {', '.join(names)}",
        )
    if words[0].startswith("-"):
        raise FlagError(
            f"unknown flag: {words[0]}",
            hint="the command comes first (ps --all): there is no daemon to select before it, "
            "only a --context",
        )
    names = sorted({name for name in spellings() if " " not in name} | set(GROUPS))
    raise InvalidArgumentError(
        f"unknown command: {words[0]!r}",
        hint=INSTEAD.get(words[0]) or _near(words[0], names) or "--help lists the commands",
    )


def split_context(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the context that is selected before the command, or nothing, and the other words."""
    if not words or words[0].partition("=")[0] not in ("--context", "-c"):
        return "", list(words)
    name, equals, value = words[0].partition("=")
    if equals:
        return value, list(words[1:])
    if len(words) < 2:
        raise FlagError(f"flag needs an argument: {name}")
    return words[1], list(words[2:])


def take_context(parsed: Parsed) -> tuple[str, Parsed]:
    """Return the value of ``--context`` after the command, and the command without it."""
    flags = parsed.verb.flags if parsed.verb is not None else ()
    if any(flag.key == CONTEXT.key and flag != CONTEXT for flag in flags):
        return "", parsed  # the verb's own flag
    rest = {key: value for key, value in parsed.flags.items() if key != CONTEXT.key}
    return str(parsed.flag(CONTEXT.key, "")), replace(parsed, flags=rest)


def verb_of(words: Sequence[str]) -> tuple[Verb | None, int]:
    """Return the verb at the start of a command, and the number of its words."""
    if len(words) > 1 and words[0] in GROUPS:
        verb = verb_named(" ".join(words[:2]))
        if verb is not None:
            return verb, 2
    verb = verb_named(words[0]) if words else None
    return verb, 0 if verb is None else 1


def _check_text(words: Sequence[str]) -> None:
    """Raise for arguments that are not UTF-8: neither records nor runtime specs can hold them."""
    verb, _ = verb_of(words)
    foreign = [word for word in words if not word.isascii() and not _is_utf8(word)]
    if foreign and not (verb and verb.takes_paths):
        raise FlagError(f"this argument is not UTF-8: {foreign[0]!r}")


def _is_utf8(word: str) -> bool:
    from jupyter_containers.options.values import is_utf8

    return is_utf8(word)


def _parse_known(
    verb: Verb, words: Sequence[str], extra: Sequence[Flag], is_data: IsData | None
) -> Parsed:
    if is_data is not None and verb.notebook_flags:
        return parse_verb(_with_flags(verb, (*verb.notebook_flags, *extra)), words, is_data)
    return parse_verb(_with_flags(verb, extra), words)


def _with_flags(verb: Verb, extra: Sequence[Flag]) -> Verb:
    own = {flag.key for flag in verb.flags}
    return replace(verb, flags=(*verb.flags, *(flag for flag in extra if flag.key not in own)))


def _help_topic(words: Sequence[str]) -> Parsed:
    topic = " ".join(words)
    if topic and topic not in GROUPS:
        return Parsed(parse([*words, "--help"]).verb, help=True, topic=topic)
    return Parsed(None, help=True, topic=topic)


def parse_verb(verb: Verb, words: Sequence[str], is_data: IsData | None = None) -> Parsed:
    """Return the flags and operands in ``words``, which follow the verb's name."""
    reader = _Reader(verb, list(words), is_data)
    reader.read()
    if reader.help:
        return Parsed(verb, help=True, topic=verb.name)
    return Parsed(verb, reader.flags, _operands(verb, reader.words))


class _Reader:
    """Reads the words once; flags go into ``flags``, all others into ``words``."""

    def __init__(self, verb: Verb, pending: list[str], is_data: IsData | None) -> None:
        self.verb = verb
        self._is_data = is_data
        self.pending = pending
        self.flags: dict[str, Any] = {}
        self.words: list[str] = []
        self.help = False
        self._long = {name: flag for flag in verb.flags for name in (flag.name, *flag.aliases)}
        self._short = {flag.short: flag for flag in verb.flags if flag.short}

    def read(self) -> None:
        while self.pending and not self.help:
            word = self.pending.pop(0)
            if word == "--":
                self.words += self.pending
                return
            if word.startswith("--"):
                self._read_long(word)
            elif word.startswith("-") and word != "-":
                self._read_short(word)
            else:
                self.words.append(word)
                if self.verb.stops_at_operand:
                    self.words += self.pending
                    return

    def _read_long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if name == "help":
            self.help = True
            return
        flag = self._long.get(name)
        if flag is None:
            near = f"did you mean -{name}?" if {*name} <= {*self._short} else ""
            near = near or _near(name, [*self._long], "--")
            instead = INSTEAD.get(f"{self.verb.name} --{name}", near)
            raise FlagError(
                f"unknown flag: --{name}", hint=instead or f"see {self.verb.name} --help"
            )
        if equals:
            self._store(flag, value, f"--{name}")
        elif flag.kind == "bool":
            self.flags[flag.key] = True
        else:
            self._store(flag, self._next(f"--{name}"), f"--{name}")

    def _read_short(self, word: str) -> None:
        # At least one word is left for the image.
        data = self._is_data if word == "-i" and len(self.pending) > 1 else None
        if data is not None and data(self.pending[0]):
            from jupyter_containers.commands.grammar.data import INPUT

            self._store(INPUT, self.pending.pop(0), "--input")
            return
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h" and word == "-h":
                    self.help = True
                    return
                whole = word[1:].partition("=")[0]
                raise FlagError(
                    f"unknown shorthand flag: {letter!r} in {word}",
                    hint=f"did you mean --{whole}?"
                    if whole in self._long
                    else f"see {self.verb.name} --help",
                )
            spelling = f"-{letter}, --{flag.name}"
            if flag.kind == "bool":
                if letters.startswith("="):
                    self._store(flag, letters[1:], spelling)
                    return
                self.flags[flag.key] = True
                continue
            value = letters.removeprefix("=") if letters else self._next(spelling)
            self._store(flag, value, spelling)
            return

    def _next(self, spelling: str) -> str:
        if not self.pending:
            raise FlagError(
                f"flag needs an argument: {spelling}", hint=f"see {self.verb.name} --help"
            )
        return self.pending.pop(0)

    def _store(self, flag: Flag, text: str, spelling: str) -> None:
        if flag.kind == "list":
            self.flags.setdefault(flag.key, []).append(text)
        else:
            self.flags[flag.key] = _converted(flag, text, spelling)


def _converted(flag: Flag, text: str, spelling: str) -> bool | int | str:
    if flag.kind == "text":
        return text
    if flag.kind == "bool" and text in _TRUE | _FALSE:
        return text in _TRUE
    if flag.kind == "int":
        from jupyter_containers.options.limits import whole

        with contextlib.suppress(InvalidArgumentError):
            return whole(text, spelling)
    wanted = "true or false" if flag.kind == "bool" else "a whole number"
    raise FlagError(f"invalid argument {text!r} for {spelling}", hint=f"write {wanted}")


def _operands(verb: Verb, words: list[str]) -> dict[str, Any]:
    needed = sum(operand.arity in ("one", "some") for operand in verb.operands)
    if len(words) < needed:
        raise _count_error(verb, needed, words)
    pending = list(words)
    values: dict[str, Any] = {}
    for operand in verb.operands:
        values[operand.name] = _take(operand, pending)
    if pending:
        raise _count_error(verb, needed, words)
    return values


def _take(operand: Operand, pending: list[str]) -> Any:
    if operand.arity == "one":
        return pending.pop(0)
    if operand.arity == "optional":
        return pending.pop(0) if pending else None
    taken = list(pending)
    pending.clear()
    return taken


def _count_error(verb: Verb, needed: int, words: list[str]) -> UsageError:
    open_ended = any(operand.arity in ("some", "any", "rest") for operand in verb.operands)
    optional = any(operand.arity == "optional" for operand in verb.operands)
    if len(words) < needed:
        bound = "at least " if open_ended or optional else ""
        count = needed
    else:
        bound = "at most " if optional else ""
        count = len(verb.operands)
    plural = "" if count == 1 else "s"
    wanted = f"{bound}{count} argument{plural}" if count else "no arguments"
    verb_word = "accepts" if not count else "requires"
    hint = f"usage: {verb.usage}"
    if len(words) > count and verb.surplus:
        hint += f"; {verb.surplus}"
    return UsageError(f"{verb.name!r} {verb_word} {wanted}", hint=hint)


def _near(word: str, names: Sequence[str], prefix: str = "") -> str:
    import difflib

    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    shown = " or ".join(f"{prefix}{match}" for match in matches)
    return f"did you mean {shown}?" if matches else ""
