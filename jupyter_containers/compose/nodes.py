"""Parses YAML 1.2 into nodes with positions, and converts nodes to plain values.

The events are libyaml's, read by PyYAML; scalars are resolved here, by the core schema of YAML
1.2: ``22:22``, ``on`` and ``no`` are strings. The bytes of a document, its nesting and the values
that its aliases would repeat are limited. Recursion is no deeper than the nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from jupyter_containers.compose.problems import FileError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_patterns import pattern

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 1_000_000
"""Values of one document; an alias counts as the values that it repeats."""

_Parser: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(slots=True)
class Node:
    """One value of a document and its position; line and column count from 0."""

    kind: str  # "scalar", "map" or "list"
    tag: str
    line: int
    column: int
    text: str = ""
    plain: bool = False
    keys: list[Node] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 1
    value: Any = None


class Timestamp(str):
    """A date by YAML's rules; no field of a Compose file accepts one."""

    __slots__ = ()


class Marked(dict[str, Any]):
    """A mapping in which some values have the tag ``!reset`` or ``!override``, by key."""

    tags: dict[str, str]


def marked(values: dict[str, Any], of: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with the tags of another mapping."""
    if not isinstance(of, Marked):
        return values
    found = Marked(values)
    found.tags = of.tags
    return found


def read_nodes(text: str) -> list[Node]:
    """Return the documents of a text; raise :class:`FileError` with the place of a mistake."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise FileError(f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return list(_documents(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "not YAML"
        lines = text.split("\n")
        written = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
        if "cannot start any token" in problem and written[mark.column : mark.column + 1] == "\t":
            problem = "a tab cannot indent"
        raise FileError(
            problem,
            mark=(mark.line, mark.column) if mark is not None else None,
            hint="indent with spaces" if problem == "a tab cannot indent" else "",
        ) from error
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        raise FileError("not a text that YAML can hold: it has control characters") from error


def _documents(text: str) -> Iterator[Node]:
    loader = _Parser(text)
    try:
        root: Node | None = None
        stack: list[Node] = []
        anchors: dict[str, Node] = {}
        while True:
            event = loader.get_event()
            if event is None or isinstance(event, yaml.StreamEndEvent):
                return
            if isinstance(event, yaml.DocumentStartEvent):
                root, anchors = None, {}
                continue
            if isinstance(event, yaml.DocumentEndEvent):
                if root is not None:
                    yield root
                continue
            if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                _close(stack)
                continue
            node = _node(event, anchors, stack)
            if node is None:
                continue
            if stack:
                _add(stack[-1], node)
            else:
                root = node
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(node)
                if len(stack) > MAX_DEPTH:
                    raise FileError(
                        f"values are nested more than {MAX_DEPTH} deep",
                        mark=(node.line, node.column),
                    )
    finally:
        loader.dispose()


def _node(event: Any, anchors: dict[str, Node], stack: list[Node]) -> Node | None:
    mark = event.start_mark
    if isinstance(event, yaml.AliasEvent):
        found = anchors.get(event.anchor)
        if found is None:
            raise FileError(
                f"there is no anchor &{event.anchor} above", mark=(mark.line, mark.column)
            )
        if any(found is one for one in stack):
            raise FileError(
                f"the value of &{event.anchor} contains itself", mark=(mark.line, mark.column)
            )
        return found
    if isinstance(event, yaml.ScalarEvent):
        node = Node(
            "scalar", event.tag or "", mark.line, mark.column, event.value, event.implicit[0]
        )
    elif isinstance(event, yaml.MappingStartEvent):
        node = Node("map", event.tag or "", mark.line, mark.column)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = Node("list", event.tag or "", mark.line, mark.column)
    else:
        return None
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _add(parent: Node, node: Node) -> None:
    if parent.kind == "map" and len(parent.keys) == len(parent.items):
        parent.keys.append(node)
    else:
        parent.items.append(node)


def _close(stack: list[Node]) -> None:
    node = stack.pop()
    node.size = 1 + sum(item.size for item in node.items)
    node.depth = 1 + max((item.depth for item in node.items), default=0)
    if node.depth > MAX_DEPTH:
        raise FileError(
            f"values are nested more than {MAX_DEPTH} deep", mark=(node.line, node.column)
        )
    if node.size > MAX_VALUES:
        raise FileError(
            f"aliases repeat more than {MAX_VALUES:,} values", mark=(node.line, node.column)
        )
    if node.kind == "map":
        _refuse_twice(node)


def _refuse_twice(node: Node) -> None:
    seen: dict[str, Node] = {}
    for key in node.keys:
        if key.kind != "scalar":
            raise FileError("a key is a mapping or a list", mark=(key.line, key.column))
        first = seen.setdefault(key.text, key)
        if first is not key:
            raise FileError(
                f"the key {key.text!r} is given twice, first in line {first.line + 1}",
                mark=(key.line, key.column),
            )


_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {word: word[0] in "tT" for word in ["true", "True", "TRUE", "false", "False", "FALSE"]}
_SPECIAL = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = pattern(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)\Z")
_FLOAT = pattern(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_DATE = pattern(r"\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:\d{1,2}:\d{1,2}(\.\d+)?(Z|[-+]\d\d:\d\d)?)?\Z")


def scalar(text: str) -> Any:
    """Return the value of a scalar without quotes."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _DATE.match(text):
        return Timestamp(text)
    digits = text.replace("_", "")
    if _INTEGER.match(digits) and len(digits) < 400:
        number = _whole(digits)
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.match(digits) and len(digits) < 400:
        return float(digits)
    return text


def _whole(digits: str) -> int:
    sign, body = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    if len(body) > 1 and body[0] == "0":
        letter = body[1].lower()
        base = {"x": 16, "b": 2, "o": 8}.get(letter, 8)
        return sign * int(body[2:] if letter in "xbo" else body[1:], base)
    return sign * int(body)


def value_of(node: Node) -> Any:
    """Return the plain value of a node.

    A node always has the same object as its value.  A mapping in which values have the tags
    ``!reset`` or ``!override`` is a :class:`Marked`.
    """
    if node.kind == "scalar":
        if node.tag in ("!reset", "!override"):
            return scalar(node.text) if node.plain else node.text
        if node.tag == "tag:yaml.org,2002:str" or (node.tag and not node.tag.startswith("tag:")):
            return node.text
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
            return scalar(node.text)
        return scalar(node.text) if node.plain and not node.tag else node.text
    if node.value is None:
        node.value = (
            [value_of(item) for item in node.items] if node.kind == "list" else _mapping(node)
        )
    return node.value


def _mapping(node: Node) -> dict[str, Any]:
    values: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for key, item in zip(node.keys, node.items, strict=True):
        if key.plain and key.text == "<<":
            continue
        if key.plain and not isinstance(scalar(key.text), str):
            raise FileError(
                f"the key {key.text} is not text",
                mark=(key.line, key.column),
                hint="put it in quotes",
            )
        values[key.text] = value_of(item)
        if item.tag in ("!reset", "!override"):
            tags[key.text] = item.tag
    for key, item in zip(node.keys, node.items, strict=True):
        if key.plain and key.text == "<<":
            for name, value in _merged(item).items():
                values.setdefault(name, value)
    if not tags:
        return values
    found = Marked(values)
    found.tags = tags
    return found


def _merged(node: Node) -> dict[str, Any]:
    if node.kind == "map":
        return dict(value_of(node))
    values: dict[str, Any] = {}
    if node.kind != "list" or any(item.kind != "map" for item in node.items):
        raise FileError("<< wants a mapping, or a list of them", mark=(node.line, node.column))
    for item in node.items:
        for name, value in value_of(item).items():
            values.setdefault(name, value)
    return values


def place(node: Node, path: tuple[str | int, ...], *, at_key: bool) -> tuple[int, int]:
    """Return line and column of the deepest value on a path, or of its key.

    For a mapping or a list it is the key's position, since the value may begin in the next line.
    """
    found = (node.line, node.column)
    for step in path:
        key, item = _child(node, step)
        if key is None or item is None:
            break
        shown = key if at_key or item.kind != "scalar" or not item.text else item
        found = (shown.line, shown.column)
        node = item
    return found


def reach(node: Node, path: tuple[str | int, ...]) -> int:
    """Return the number of steps of a path that exist in the document."""
    for count, step in enumerate(path):
        _, found = _child(node, step)
        if found is None:
            return count
        node = found
    return len(path)


def _child(node: Node, step: str | int) -> tuple[Node | None, Node | None]:
    """Return the key and the value of one step; a list of names has them in place of keys."""
    if node.kind == "map":
        for key, item in zip(node.keys, node.items, strict=True):
            if key.text == step:
                return key, item
    elif node.kind == "list":
        if isinstance(step, int):
            return (node.items[step], node.items[step]) if step < len(node.items) else (None, None)
        for item in node.items:
            if item.kind == "scalar" and re.split(r"[:=]", item.text, maxsplit=1)[0] == step:
                return item, item
    return None, None
