"""Variables in Dockerfile words: ``$name``, ``${name}`` and the modifiers of POSIX shells.

Vocabulary: a *word* is one argument as written; *expanding* it replaces variables and removes
quotes and escapes.  *Splitting* also breaks the result at unquoted white space.  A *pattern* is a
shell pattern of ``*``, ``?`` and backslash escapes (brackets have no meaning).

Follows the "Environment replacement" section of the Dockerfile reference::

    ${x:-word} ${x-word}   word when x is unset (or, with the colon, empty)
    ${x:+word} ${x+word}   word when x is set (and, with the colon, not empty)
    ${x:?text} ${x?text}   an error with text when x is unset (or empty)
    ${x#p} ${x##p}         x without the shortest (longest) match of p at its beginning
    ${x%p} ${x%%p}         the same at its end
    ${x/p/w} ${x//p/w}     x with the first (every) longest match of p replaced by w
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jupyter_containers.build.patterns import ShellPattern, shell_pattern
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass, field

_SPECIAL_NAMES = "@*#?-$!0"
_MAX_DEPTH = 40
# Characters of a pattern times those of the value that it is matched with.
_MAX_COMPARISONS = 1 << 28
# The limit for the variables of one word together; Linux accepts 128 KiB (MAX_ARG_STRLEN) for one.
_MAX_SUBSTITUTED = 1 << 20


class ExpansionError(InvalidArgumentError):
    """A word cannot be expanded; ``position`` is the index in the word where that was detected."""

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Expansion:
    """The result of expanding a word; ``unset`` are the names without a value."""

    text: str
    words: tuple[str, ...]
    unset: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lexer:
    """The rules for reading words.

    ``raw_quotes`` and ``raw_escapes`` keep these characters in the result; ``plain_quotes`` treats
    quotes as ordinary characters (the contents of heredocs); ``keep_unset`` leaves variables
    without a value as written.
    """

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    plain_quotes: bool = False
    keep_unset: bool = False

    def expand(self, word: str, env: Mapping[str, str]) -> Expansion:
        """Return the expansion of ``word`` under ``env``; raise :class:`ExpansionError`."""
        if not self.plain_quotes and word.isalnum():
            return Expansion(word, (word,))
        return _Reader(self, word, env).read()


@dataclass(slots=True)
class _Words:
    """The words of a split result, collected character by character."""

    done: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    quoted: bool = False

    def add(self, text: str) -> None:
        """Append text that is split at white space."""
        for character in text:
            if character.isspace():
                self.finish()
            else:
                self.current.append(character)

    def add_quoted(self, text: str) -> None:
        """Append text unchanged."""
        self.current.append(text)
        self.quoted = True

    def finish(self) -> None:
        """End the current word."""
        if self.current or self.quoted:
            self.done.append("".join(self.current))
        self.current, self.quoted = [], False


class _Reader:
    """One pass over one word."""

    def __init__(self, lexer: Lexer, text: str, env: Mapping[str, str]) -> None:
        self.lexer = lexer
        self.text = text
        self.env = env
        self.at = 0
        self.depth = 0
        self.unset: set[str] = set()
        self.substituted = 0

    def read(self) -> Expansion:
        text, words = self._until("", self.lexer.raw_escapes)
        return Expansion(text, tuple(words), frozenset(self.unset))

    def _fail(self, message: str) -> ExpansionError:
        return ExpansionError(message, position=min(self.at, len(self.text)))

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _next(self) -> str:
        character = self.text[self.at : self.at + 1]
        self.at += 1
        return character

    def _until(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """Read up to ``stop`` (consumed) or, if that is empty, to the end."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._fail("substitutions are nested too deeply")
        result: list[str] = []
        words = _Words()
        while self.at < len(self.text):
            character = self._peek()
            if character == stop:
                self.at += 1
                break
            piece, quoted = self._piece(character, raw_escapes)
            result.append(piece)
            if quoted:
                words.add_quoted(piece)
            else:
                words.add(piece)
        else:
            if stop:
                raise self._fail(f"syntax error: missing {stop!r}")
        words.finish()
        self.depth -= 1
        return "".join(result), words.done

    def _piece(self, character: str, raw_escapes: bool) -> tuple[str, bool]:
        if character == "$":
            return self._dollar(), False
        if not self.lexer.plain_quotes and character == "'":
            return self._single_quoted(), True
        if not self.lexer.plain_quotes and character == '"':
            return self._double_quoted(raw_escapes), True
        self.at += 1
        if character != self.lexer.escape:
            return character, False
        escaped = self._next()
        prefix = character if raw_escapes else ""
        return prefix + escaped, bool(escaped)

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self._fail("unexpected end while looking for the matching single quote")
        raw = self.lexer.raw_quotes
        text = self.text[self.at : end + 1] if raw else self.text[self.at + 1 : end]
        self.at = end + 1
        return text

    def _double_quoted(self, raw_escapes: bool) -> str:
        start = self.at
        quote = self._next() if self.lexer.raw_quotes else ""
        self.at = start + 1
        result = [quote]
        while self.at < len(self.text):
            character = self._peek()
            if character == '"':
                self.at += 1
                return "".join([*result, quote])
            if character == "$":
                result.append(self._dollar())
                continue
            self.at += 1
            if character == self.lexer.escape:
                if raw_escapes:
                    result.append(character)
                following = self._peek()
                if following and following in ('"', "$", self.lexer.escape):
                    result.append(self._next())
                    continue
                if raw_escapes or not following:
                    continue
            result.append(character)
        self.at = start
        raise self._fail("unexpected end while looking for the matching double quote")

    def _name(self) -> str:
        """Read a name; digits alone, or one special parameter, are names too."""
        start = self.at
        first = self._peek()
        if first.isdigit():
            while self._peek().isdigit():
                self.at += 1
        elif first and first in _SPECIAL_NAMES:
            self.at += 1
        else:
            while self._peek().isalnum() or self._peek() == "_":
                self.at += 1
        return self.text[start : self.at]

    def _dollar(self) -> str:
        value = self._value()
        self.substituted += len(value)
        if self.substituted > _MAX_SUBSTITUTED:
            raise self._fail("the variables of a word are longer than 1 MiB")
        return value

    def _value(self) -> str:
        self.at += 1
        if self._peek() == "{":
            return self._braced()
        name = self._name()
        if not name:
            return "$"
        if name not in self.env:
            self.unset.add(name)
            return f"${name}" if self.lexer.keep_unset else ""
        return self.env[name]

    def _braced(self) -> str:
        start = self.at - 1
        self.at += 1
        if self._peek() in ("{", "}", ":"):
            raise self._fail("syntax error: bad substitution")
        if not self._peek():
            raise self._fail("syntax error: missing '}'")
        name = self._name()
        operator = self._next()
        if operator == "}":
            value = self._value_or_note(name)
        elif operator == "/":
            value = self._replaced(name)
        elif operator and operator in ":+-?#%":
            value = self._modified(name, operator)
        elif not operator:
            raise self._fail("syntax error: missing '}'")
        else:
            raise self._fail(f"unsupported modifier ({operator}) in substitution")
        if self.lexer.keep_unset and name not in self.env:
            return self.text[start : self.at]
        return value

    def _value_or_note(self, name: str) -> str:
        if name not in self.env:
            self.unset.add(name)
        return self.env.get(name, "")

    def _modified(self, name: str, operator: str) -> str:
        colon = operator == ":"
        if colon:
            operator = self._next()
        if not operator:
            raise self._fail("syntax error: missing '}'")
        if operator not in ("-+?" if colon else "-+?#%"):
            written = f":{operator}" if colon else operator
            raise self._fail(f"unsupported modifier ({written}) in substitution")
        word, _ = self._until("}", operator in "#%")
        value = self.env.get(name)
        if value is None:
            self.unset.add(name)
        missing = value is None or (colon and not value)
        if operator == "-":
            return word if missing else value or ""
        if operator == "+":
            return "" if missing else word
        if operator == "?":
            if missing:
                state = "unset" if value is None else "empty"
                raise self._fail(f"{name}: {word or f'is not allowed to be {state}'}")
            return value or ""
        value = self._value_or_note(name)
        greedy = word.startswith(operator)
        return self._trimmed(value, word[greedy:], operator, greedy)

    def _trimmed(self, value: str, pattern: str, operator: str, greedy: bool) -> str:
        expression = self._pattern(pattern, value)
        if operator == "#":
            length = expression.prefix(value, longest=greedy)
            return value[length or 0 :]
        length = expression.suffix(value, longest=greedy)
        return value[: len(value) - (length or 0)]

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        self.at += every
        pattern, _ = self._until("/", raw_escapes=True)
        replacement, _ = self._until("}", raw_escapes=True)
        replacement = re.sub(r"\\([}/])", r"\1", replacement)
        value = self._value_or_note(name)
        expression = self._pattern(pattern, value)
        if len(replacement) * len(value) > _MAX_COMPARISONS:
            raise self._fail("the replacement of a substitution is too long for its value")
        return expression.replaced(value, replacement, every=every)

    def _pattern(self, text: str, value: str) -> ShellPattern:
        if len(text) * len(value) > _MAX_COMPARISONS:
            raise self._fail("the pattern of a substitution is too long for its value")
        try:
            return shell_pattern(text)
        except InvalidArgumentError as error:
            raise self._fail(error.message) from error
