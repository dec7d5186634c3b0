"""The part of Go's text/template that is used with ``--format``.

Texts, fields (``{{.State.ExitCode}}``), ``.Label "name"``, ``json join upper lower title split
pad truncate len index slice println print printf html js urlquery eq ne lt le gt ge not and or``,
pipelines with ``|``, ``range if else with end break continue define template block`` (with
``$key, $value :=``), and the dot.  Values consist of mappings, sequences, strings and numbers; a
missing field is an error, as in Docker; a missing label is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union
from urllib.parse import quote_plus

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import html, json
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.printable import escaped

_DEEPEST = 100  # nested blocks, nested parentheses
_DIGITS = 18
_LONGEST = 10_000  # characters of one action, and the most that printf and pad may add
_TOKEN = pattern(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<number>-?\d+)(?![\w.])"""
    r"""|(?P<path>\$\w*(?:\.[A-Za-z_][\w-]*)*|(?:\.[A-Za-z_][\w-]*)+|\.)|(?P<word>[A-Za-z]\w*)|(?P<mark>[|()]))"""
)


# The values of ``$`` (the template's argument) and of the variables of range, if and with.
Scope = dict[str, Any]


@dataclass(slots=True)
class _Block:
    """Texts, expressions and inner blocks; ``keyword`` is range, if, with, define or empty."""

    keyword: str = ""
    expression: str = ""
    body: list[_Node] = field(default_factory=list)
    otherwise: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Output:
    expression: str


@dataclass(frozen=True, slots=True)
class _Use:
    """``{{template "name" pipeline}}``."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class _Jump:
    """``{{break}}`` or ``{{continue}}``."""

    keyword: str


_Node = Union[str, "_Block", _Output, _Use, _Jump]


class _LeaveError(Exception):
    """Leaves a range, or continues with its next element."""


@dataclass(frozen=True, slots=True)
class _Nil:
    """Go's output for an unset list, map or pointer; null in JSON."""

    shown: str

    def __len__(self) -> int:
        return 0


class Heading(str):
    """The headings of a table's columns; that of a label is its name."""

    __slots__ = ()


class Template:
    """A parsed template; :meth:`render` fills it with one value."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._named: dict[str, _Block] = {}
        self._root = _parse(source.replace("\\t", "\t").replace("\\n", "\n"), self._named)

    def render(self, value: Any) -> str:
        """Return the text; raise :class:`InvalidArgumentError` for an unknown field."""
        parts: list[str] = []
        self._run(self._root.body, value, {"$": value}, parts)
        return "".join(parts)

    def _run(self, body: Sequence[_Node], dot: Any, scope: Scope, parts: list[str]) -> None:
        for node in body:
            if isinstance(node, str):
                parts.append(node)
            elif isinstance(node, _Jump):
                raise _LeaveError(node.keyword)
            elif isinstance(node, _Use):
                self._use(node, dot, scope, parts)
            elif isinstance(node, _Output):
                names, expression = _declared(node.expression)
                value = _evaluate(expression, dot, scope)
                if names:  # {{$name := …}} prints nothing and is valid until the end of the block
                    scope = scope | {names[-1]: value}
                else:
                    parts.append(_text(value))
            else:
                self._run_block(node, dot, scope, parts)

    def _use(self, node: _Use, dot: Any, scope: Scope, parts: list[str]) -> None:
        named = self._named.get(node.name)
        if named is None:
            raise InvalidArgumentError(f"template: {node.name!r} is not defined")
        value = _evaluate(node.expression, dot, scope) if node.expression else None
        self._run(named.body, value, {"$": value}, parts)

    def _run_block(self, block: _Block, dot: Any, scope: Scope, parts: list[str]) -> None:
        names, expression = _declared(block.expression)
        value = _evaluate(expression, dot, scope)
        if not value:
            self._run(block.otherwise, dot, scope, parts)
        elif block.keyword == "range":
            for pair in _items(value):
                # One variable gets the element, two get key and element.
                variables = dict(zip(names, pair[-len(names) :], strict=False))
                try:
                    self._run(block.body, pair[1], scope | variables, parts)
                except _LeaveError as leave:
                    if leave.args[0] == "break":
                        return
        else:
            inner = scope | dict.fromkeys(names, value)
            self._run(block.body, value if block.keyword == "with" else dot, inner, parts)


def _declared(expression: str) -> tuple[list[str], str]:
    """Return the variables of ``$key, $value := pipeline`` and the pipeline."""
    match = re.fullmatch(r"(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=\s*(.*)", expression, re.DOTALL)
    if match is None:
        return [], expression
    return [name for name in match.group(1, 2) if name], match[3]


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return sorted(value.items())
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidArgumentError(f"template: range over {type(value).__name__}")
    return list(enumerate(value))


def _parse(source: str, named: dict[str, _Block]) -> _Block:
    root = _Block()
    stack: list[tuple[_Block, list[_Node]]] = [(root, root.body)]
    position, trim = 0, False
    while (start := source.find("{{", position)) >= 0 and (end := source.find("}}", start)) >= 0:
        text, inner = source[position:start], source[start + 2 : end]
        text = text.lstrip() if trim else text
        if inner[:1] == "-" and inner[1:2].isspace():
            text, inner = text.rstrip(), inner[2:]
        position, trim = end + 2, inner[-1:] == "-" and inner[-2:-1].isspace()
        target = stack[-1][1]
        if text:
            target.append(text)
        _add((inner[:-2] if trim else inner).strip(), stack, named, source)
    rest = source[position:]
    if "{{" in rest or len(stack) > 1:
        raise InvalidArgumentError(
            f"template: {source!r} is not complete",
            hint="close every {{ and every range, if, with, define",
        )
    if rest:
        root.body.append(rest.lstrip() if trim else rest)
    return root


# Go needs no space before a field: {{range.Mounts}}.
_KEYWORD = pattern(
    r"(else\s+(?:if|with)|range|if|with|else|end|define|block|template|break|continue)(?!\w)\s*(.*)",
    re.DOTALL,
)
_NAMED = pattern(r"(\"(?:\\.|[^\"\\])*\"|`[^`]*`)\s*(.*)", re.DOTALL)


def _add(
    action: str,
    stack: list[tuple[_Block, list[_Node]]],
    named: dict[str, _Block],
    source: str,
) -> None:
    if action.startswith("/*"):
        return
    if len(stack) > _DEEPEST or len(action) > _LONGEST:
        raise InvalidArgumentError("template: too long, or blocks nested too deeply")
    block, target = stack[-1]
    match = _KEYWORD.fullmatch(action)
    word, rest = (match[1], match[2]) if match else ("", "")
    unexpected = InvalidArgumentError(f"template: {source!r}: unexpected {{{{{action}}}}}")
    if word in ("range", "if", "with"):
        inner = _Block(word, rest)
        target.append(inner)
        stack.append((inner, inner.body))
    elif word.startswith("else") and word != "else":
        # The block within "else" ends together with this one: both share one end.
        if block.keyword not in ("if", "with") or target is block.otherwise:
            raise unexpected
        stack.pop()
        inner = _Block(word.split()[1], rest)
        block.otherwise.append(inner)
        stack.append((inner, inner.body))
    elif word in ("end", "else"):
        if len(stack) == 1 or rest:
            raise unexpected
        stack.pop()
        if word == "else":
            stack.append((block, block.otherwise))
    elif word in ("break", "continue"):
        if rest or not any(one.keyword == "range" for one, _ in stack):
            raise InvalidArgumentError(f"template: {{{{{action}}}}} outside of a range")
        target.append(_Jump(word))
    elif word:
        _add_named(word, rest, stack, named, unexpected)
    else:
        target.append(_Output(action))


def _add_named(
    word: str,
    rest: str,
    stack: list[tuple[_Block, list[_Node]]],
    named: dict[str, _Block],
    unexpected: InvalidArgumentError,
) -> None:
    """Add ``template``, ``define`` or ``block``, which is both."""
    match = _NAMED.fullmatch(rest)
    if match is None or (word == "define" and (match[2] or len(stack) > 1)):
        raise unexpected
    name = _quoted(match[1])
    if word != "define":
        stack[-1][1].append(_Use(name, match[2]))
    if word != "template":
        inner = named[name] = _Block("define")
        stack.append((inner, inner.body))


def _evaluate(expression: str, dot: Any, scope: Scope) -> Any:
    tokens = _tokens(expression)
    value = _pipeline(tokens, dot, scope)
    if tokens:
        raise InvalidArgumentError(f"template: cannot read {expression!r}")
    return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise InvalidArgumentError(
                f"template: cannot read {expression!r}", hint="a field is written {{.Name}}"
            )
        kind = match.lastgroup
        # A field of the parentheses, not another argument: (index .Ports 0).HostPort
        if kind == "path" and text[: match.start(kind)].endswith(")"):
            kind = "fields"
        tokens.append((kind, match[match.lastgroup]))
        position = match.end()
    if not tokens:
        raise InvalidArgumentError("template: empty {{}}")
    if tokens.count(("mark", "(")) > _DEEPEST:
        raise InvalidArgumentError("template: too many brackets")
    return tokens


def _pipeline(tokens: list[tuple[str, str]], dot: Any, scope: Scope) -> Any:
    value = _command(tokens, dot, scope, [])
    while tokens and tokens[0] == ("mark", "|"):
        tokens.pop(0)
        value = _command(tokens, dot, scope, [value])
    return value


def _command(tokens: list[tuple[str, str]], dot: Any, scope: Scope, piped: list[Any]) -> Any:
    if tokens and tokens[0][0] == "word" and tokens[0][1] not in ("true", "false", "nil"):
        name = tokens.pop(0)[1]
        arguments: list[Any] = []
        while tokens and tokens[0] not in (("mark", "|"), ("mark", ")")):
            arguments.append(_argument(tokens, dot, scope))
        return _call(name, arguments + piped)
    if piped or not tokens:
        raise InvalidArgumentError("template: a function is missing after |")
    if tokens[0] == ("path", ".Label") and len(tokens) > 1 and tokens[1][0] == "text":
        tokens.pop(0)
        return _label(_lookup(dot, ["Labels"]), _argument(tokens, dot, scope))
    return _argument(tokens, dot, scope)


def _label(labels: Any, name: str) -> str:
    """Return one label from Docker's ``name=value,…`` text; empty if it is not set."""
    if not isinstance(labels, str):
        return _text((labels or {}).get(name, ""))
    if isinstance(labels, Heading):
        return re.sub("[-_]", " ", name.rpartition(".")[2])
    pairs = (label.partition("=") for label in labels.split(","))
    return next((value for key, _, value in pairs if key == name), "")


def _argument(tokens: list[tuple[str, str]], dot: Any, scope: Scope) -> Any:
    kind, text = tokens.pop(0)
    if (kind, text) == ("mark", "("):
        value = _pipeline(tokens, dot, scope)
        if not tokens or tokens.pop(0) != ("mark", ")"):
            raise InvalidArgumentError("template: a ) is missing")
        if tokens and tokens[0][0] == "fields":
            value = _lookup(value, tokens.pop(0)[1].strip(".").split("."))
        return value
    if kind == "text":
        return _quoted(text)
    if kind == "number":
        if len(text) > _DIGITS:
            raise InvalidArgumentError(f"template: the number {text[:40]!r} is too large")
        return int(text)
    if kind == "path":
        variable, *names = text.split(".")
        if variable and variable not in scope:
            raise InvalidArgumentError(f"template: undefined variable {variable!r}")
        return _lookup(scope[variable] if variable else dot, [name for name in names if name])
    if text in ("true", "false", "nil"):
        return {"true": True, "false": False, "nil": None}[text]
    return _call(text, [])


# Fields that inspect omits if empty, and that templates use:
# {{if .State.Health}}{{.State.Health.Status}}{{end}}.
_OMITTED = frozenset({"Health", "SizeRw", "SizeRootFs"})


# Objects with keys chosen by users: a missing key is not an error.
_MAPS = frozenset({"Labels", "Options", "Sysctls", "Tmpfs", "StorageOpt", "DriverOpts", "Networks"})
# Go's output for null in the documents of inspect; other fields are lists.
_NIL_MAPS = _MAPS | {"Annotations", "ExposedPorts", "PortBindings", "Ports", "Volumes", "Data"}
_NIL_POINTERS = frozenset(
    {
        "Health", "Healthcheck", "IPAMConfig", "Init", "MemorySwappiness", "OomKillDisable",
        "PidsLimit", "SizeRootFs", "SizeRw",
    }
)  # fmt: skip


def _lookup(value: Any, names: list[str]) -> Any:
    for before, name in zip(["", *names], names, strict=False):
        known = isinstance(value, Mapping) and name in value
        if isinstance(value, Mapping) and not known and (name in _OMITTED or before in _MAPS):
            value = None
            continue
        if not known:
            from difflib import get_close_matches

            keys = [str(key) for key in value] if isinstance(value, Mapping) else []
            near = get_close_matches(name, keys, n=3, cutoff=0.5) or sorted(keys)[:12]
            raise InvalidArgumentError(
                f"template: no field {name!r}",
                hint=f"fields: {', '.join(near)}" if near else "",
            )
        value = value[name]
        if value is None:
            value = _Nil(
                "map[]" if name in _NIL_MAPS else "<nil>" if name in _NIL_POINTERS else "[]"
            )
    return value


def _quoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    try:
        return str(json.loads(text, strict=False))
    except ValueError as error:
        raise InvalidArgumentError(f"template: cannot read the text {text!r}") from error


def _text(value: Any) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, _Nil):
        return value.shown
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = " ".join(f"{key}:{_text(item)}" for key, item in sorted(value.items()))
        return f"map[{inner}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(_text(item) for item in value)}]"
    return str(value)


def _json(value: Any) -> str:
    if isinstance(value, _Nil):
        return "null"
    return escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


def _pad(text: Any, before: int, after: int) -> str:
    shown = _text(text)
    if max(before, after) > _LONGEST:
        raise ValueError("too wide")
    return f"{' ' * before}{shown}{' ' * after}" if shown else shown


def _printf(form: str, *values: Any) -> str:
    if any(len(digits) > 3 for digits in re.findall("[0-9]+", form)) or "*" in form:
        raise ValueError(f"a width in {form[:40]!r}")
    for verb, pythons in (("%v", "%s"), ("%t", "%s"), ("%q", '"%s"')):
        form = form.replace(verb, pythons)
    return form % tuple(
        v if isinstance(v, (int, float)) and not isinstance(v, bool) else _text(v) for v in values
    )


def _html(*values: Any) -> str:
    # Go escapes quotes as numbers.
    text = html.escape("".join(_text(value) for value in values), quote=False)
    return text.replace('"', "&#34;").replace("'", "&#39;")


_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def _js(*values: Any) -> str:
    text = "".join(_text(value) for value in values)
    return "".join(_JS.get(one, one if one >= " " else f"\\u{ord(one):04X}") for one in text)


def _urlquery(*values: Any) -> str:
    return quote_plus("".join(_text(value) for value in values))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": _json,
    "join": lambda items, separator: separator.join(_text(item) for item in items or ()),
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "upper": lambda text: _text(text).upper(),
    "lower": lambda text: _text(text).lower(),
    "title": lambda text: _text(text).title(),
    "pad": _pad,
    "truncate": lambda text, length: _text(text)[:length],
    "len": len,
    "index": _index,
    "slice": lambda value, *ends: value[slice(*(ends if len(ends) > 1 else (*ends, None)))],
    "print": lambda *values: " ".join(_text(value) for value in values),
    "println": lambda *values: " ".join(_text(value) for value in values) + "\n",
    "printf": _printf,
    "html": _html,
    "js": _js,
    "urlquery": _urlquery,
    "eq": lambda value, *others: any(value == other for other in others),
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


def _call(name: str, arguments: list[Any]) -> Any:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise InvalidArgumentError(
            f"template: unknown function {name!r}", hint=f"known: {', '.join(sorted(_FUNCTIONS))}"
        )
    try:
        return function(*arguments)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise InvalidArgumentError(f"template: {name}: {error}") from error
