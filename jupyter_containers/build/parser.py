"""Parses the text of a Dockerfile into nodes, each one instruction with its lines.

Vocabulary: a *directive* is a comment ``# name=value`` at the very top (``syntax``, ``escape``,
``check``).  A *logical line* is one or more lines joined by the escape character at their ends;
comments and empty lines inside it are dropped.  A *heredoc* is text between ``<<NAME`` in an ADD,
COPY or RUN and a line ``NAME``.  A *node* is a logical line, split into keyword, flags and the
rest.

This pass knows the keywords but not the meaning of their arguments.  Any text either parses or
raises :class:`DockerfileSyntaxError`.  Follows the Dockerfile reference, "Format", "Parser
directives" and "Here-Documents".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from jupyter_containers.build.expand import ExpansionError, Lexer
from jupyter_containers.errors import DockerfileSyntaxError, SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
_HEREDOC_KEYWORDS = ("ADD", "COPY", "RUN")
_DIRECTIVE = pattern(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=(.*)")
_HEREDOC = pattern(r"\d*<<(-?)([^<]+)")
_BARE = Lexer(keep_unset=True)
_RAW = Lexer(keep_unset=True, raw_quotes=True, raw_escapes=True)
_NO_ENV: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Heredoc:
    """An inline document; ``expand`` is false if its delimiter was quoted."""

    name: str
    content: str
    expand: bool
    chomp: bool

    @property
    def text(self) -> str:
        """The content, without leading tabs if it was opened by ``<<-``."""
        return re.sub(r"^\t+", "", self.content, flags=re.MULTILINE) if self.chomp else self.content


@dataclass(frozen=True, slots=True)
class Directives:
    """The values of the parser directives."""

    syntax: str = ""
    escape: str = "\\"
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One instruction: ``KEYWORD --flags… rest`` and its inline documents.

    ``comments`` are those right above it; ``empty_continuation`` reports empty lines inside it.
    """

    keyword: str
    spelling: str
    flags: tuple[str, ...]
    rest: str
    heredocs: tuple[Heredoc, ...]
    location: SourceLocation
    escape: str = "\\"
    comments: tuple[str, ...] = ()
    empty_continuation: bool = False


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A whole Dockerfile; ``escape`` is its escape character."""

    nodes: tuple[Node, ...]
    directives: Directives
    name: str = "Dockerfile"

    @property
    def escape(self) -> str:
        """The character that continues lines and escapes characters."""
        return self.directives.escape


def parse(text: str, name: str = "Dockerfile", lines_above: int = 0) -> ParsedFile:
    """Return the nodes of a Dockerfile; raise :class:`DockerfileSyntaxError` with the lines.

    ``lines_above`` is the number of lines before the text in its source (a cell's magic).
    """
    lines = re.split(r"(?<=\n)", text.removeprefix("\ufeff"))
    if lines and not lines[-1]:
        lines.pop()
    directives = _read_directives(lines, name, lines_above)
    reader = _Reader(lines, directives.escape, name, lines_above=lines_above)
    nodes = tuple(reader.nodes())
    return ParsedFile(nodes, directives, name)


def parse_fragment(text: str, location: SourceLocation, escape: str = "\\") -> Node:
    """Return the one node of ``text`` (an ONBUILD trigger), reported at ``location``."""
    reader = _Reader(re.split(r"(?<=\n)", text), escape, location.filename, location)
    nodes = reader.nodes()
    if len(nodes) != 1:
        raise DockerfileSyntaxError("an ONBUILD trigger is one instruction", location=location)
    return nodes[0]


def _read_directives(lines: list[str], name: str, lines_above: int) -> Directives:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        value = match[2].strip() if match else ""
        if not match or not value or match[1].lower() not in ("syntax", "escape", "check"):
            break
        key = match[1].lower()
        place = number + lines_above
        location = SourceLocation(name, place, place, (line.rstrip("\r\n"),))
        if key in found:
            raise DockerfileSyntaxError(
                f"only one {key} parser directive can be used", location=location
            )
        if key == "escape" and value not in ("\\", "`"):
            raise DockerfileSyntaxError(
                f"invalid escape {value!r}", location=location, hint="use \\ or `"
            )
        found[key] = value
    return Directives(**found)


@dataclass(slots=True)
class _Reader:
    """Reads lines from the first to the last, once."""

    lines: list[str]
    escape: str
    name: str
    fixed: SourceLocation | None = None
    lines_above: int = 0
    at: int = 0
    found: list[Node] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    empty: bool = False

    def nodes(self) -> list[Node]:
        while self.at < len(self.lines):
            first = self.at
            logical = self._logical_line()
            if logical.strip():
                self.found.append(self._node(logical.strip(), first))
                self.comments.clear()
        return self.found

    def location(self, first: int, last: int) -> SourceLocation:
        if self.fixed:
            return self.fixed
        excerpt = tuple(line.rstrip("\r\n") for line in self.lines[first:last])
        above = self.lines_above
        return SourceLocation(self.name, first + 1 + above, max(last, first + 1) + above, excerpt)

    def fail(self, message: str, first: int, *, hint: str = "") -> DockerfileSyntaxError:
        return DockerfileSyntaxError(message, location=self.location(first, self.at), hint=hint)

    def _logical_line(self) -> str:
        """Read up to the end of a logical line; return ``""`` for a comment or an empty line."""
        parts: list[str] = []
        self.empty = False
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip("\r\n")
            self.at += 1
            if line.lstrip().startswith("#"):
                if parts:
                    continue
                self.comments.append(line.lstrip().lstrip("#").strip())
                return ""
            if not line.strip():
                if parts:
                    self.empty = True
                    continue
                self.comments.clear()
                return ""
            line, continued = self._without_continuation(line)
            parts.append(line if parts else line.lstrip())
            if not continued:
                break
        return "".join(parts)

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        stripped = line.rstrip(" \t")
        if not stripped.endswith(self.escape) or stripped.endswith(self.escape * 2):
            return line, False
        return stripped[:-1], True

    def _node(self, logical: str, first: int) -> Node:
        spelling, _, rest = _cut_word(logical)
        keyword = spelling.upper()
        if keyword not in KEYWORDS:
            near = difflib.get_close_matches(keyword, KEYWORDS, 1, 0.6)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(KEYWORDS)}"
            raise self.fail(f"unknown instruction: {spelling[:60]}", first, hint=hint)
        flags, rest = extract_flags(rest)
        comments, empty = tuple(self.comments), self.empty
        heredocs: tuple[Heredoc, ...] = ()
        if "<<" in rest and self._may_hold_heredocs(keyword, rest):
            heredocs = self._heredocs(rest, first)
        location = self.location(first, self.at)
        return Node(
            keyword=keyword,
            spelling=spelling,
            flags=flags,
            rest=rest,
            heredocs=heredocs,
            location=location,
            escape=self.escape,
            comments=comments,
            empty_continuation=empty,
        )

    def _may_hold_heredocs(self, keyword: str, rest: str) -> bool:
        if keyword == "ONBUILD":
            inner, _, rest = _cut_word(rest)
            keyword, rest = inner.upper(), extract_flags(rest)[1]
        return keyword in _HEREDOC_KEYWORDS and not (keyword == "RUN" and rest.startswith("["))

    def _heredocs(self, rest: str, first: int) -> tuple[Heredoc, ...]:
        try:
            words = _RAW.expand(rest, _NO_ENV).words
        except ExpansionError:
            return ()
        found: list[Heredoc] = []
        for word in words:
            opened = _open_heredoc(word)
            if opened:
                found.append(self._read_heredoc(opened, first))
        return tuple(found)

    def _read_heredoc(self, opened: Heredoc, first: int) -> Heredoc:
        content: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if opened.chomp else end) == opened.name:
                return Heredoc(opened.name, "".join(content), opened.expand, opened.chomp)
            content.append(line)
        raise self.fail(
            f"unterminated heredoc: no line {opened.name!r}",
            first,
            hint=f"end the text with a line that holds only {opened.name}",
        )


def _cut_word(text: str) -> tuple[str, str, str]:
    match = re.search(r"\s+", text)
    if not match:
        return text, "", ""
    return text[: match.start()], match[0], text[match.end() :].strip()


def _open_heredoc(word: str) -> Heredoc | None:
    match = _HEREDOC.fullmatch(word)
    if not match:
        return None
    try:
        plain = _BARE.expand(match[2], _NO_ENV).words
    except ExpansionError:
        return None
    if len(plain) != 1:
        return None
    quoted = any(character in match[2] for character in "'\"\\")
    return Heredoc(plain[0], "", not quoted, bool(match[1]))


def is_heredoc_word(word: str) -> bool:
    """Return whether ``word`` alone opens an inline document (``<<EOF``)."""
    return _open_heredoc(word) is not None


def extract_flags(text: str) -> tuple[tuple[str, ...], str]:
    """Return the leading ``--flag`` words (quotes removed) and the rest."""
    flags: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith("--", at):
            return tuple(flags), text[at:]
        word, at = _flag_word(text, at)
        if word == "--":
            return tuple(flags), text[at:].lstrip()
        flags.append(word)


def _flag_word(text: str, at: int) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while at < len(text):
        character = text[at]
        if not quote and character.isspace():
            break
        at += 1
        if quote and character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == "\\":
            word.append(text[at : at + 1])
            at += 1
        else:
            word.append(character)
    return "".join(word), min(at, len(text))
