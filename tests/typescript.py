"""Generates the browser's code from the kernel's: ``python -m tests.typescript`` writes it.

Messages become types, rules of words become tables, and examples of those rules become test data.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from jupyter_containers.build import reference
from jupyter_containers.build.instructions import FLAGS
from jupyter_containers.engine import units
from jupyter_containers.engine.containers import status_text
from jupyter_containers.panel import connections
from jupyter_containers.panel import messages as panel_messages
from jupyter_containers.widgets import messages as widget_messages
from jupyter_containers.widgets.logs import LogsWidget

LABEXTENSION = Path(__file__).parents[1] / "labextension"
_HEAD = "// Made from {}; do not edit.\n//\n//   python -m tests.typescript\n"
_SIMPLE = {
    inspect.AnyType: "any",
    inspect.NoneType: "null",
    inspect.BoolType: "boolean",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.StrType: "string",
}


def protocol() -> str:
    """Return the panel's messages."""
    calls = get_args(panel_messages.Call)
    returns = {
        call.__struct_config__.tag: _text(inspect.type_info(panel_messages.RETURNS[call]))
        if call in panel_messages.RETURNS
        else "null"
        for call in calls
    }
    items = {name: kind.__name__ for name, kind in panel_messages.ITEMS.items()}
    parts = [
        _HEAD.format("jupyter_containers/panel/messages.py"),
        f"export const VERSION = {panel_messages.VERSION};\n",
        *_types(panel_messages, calls),
        _record("Returns", "What a call returns.", returns),
        _record("Items", "What a section holds.", items),
    ]
    return "\n".join(parts)


def widgets() -> str:
    """Return the messages between widgets and their views."""
    from_views = {
        kind
        for name, union in vars(widget_messages).items()
        if name.endswith("FromView")
        for kind in get_args(union)
    }
    head = _HEAD.format("jupyter_containers/widgets/messages.py")
    return "\n".join([head, *_types(widget_messages, from_views)])


def facts() -> str:
    """Return the rules and words that both sides have."""
    instructions = {
        name: asdict(one) | {"flags": {flag.completion: flag.help for flag in FLAGS.get(name, ())}}
        for name, one in reference.INSTRUCTIONS.items()
    }
    scale = {"base": "number", "units": "readonly string[]", "digits": "number"}
    span = {"below": "number", "text": "string", "unit": "number", "more": "number"}
    parts = [
        _HEAD.format("what the kernel's side has (see tests/typescript.py)"),
        _record("Scale", units.Scale.__doc__ or "", scale),
        _constant("DECIMAL", asdict(units.DECIMAL), "Scale"),
        _constant("BINARY", asdict(units.BINARY), "Scale"),
        _record("Span", units.Span.__doc__ or "", span),
        _constant("SPANS", [asdict(one) for one in units.SPANS], "readonly Span[]"),
        _record(
            "Instruction",
            reference.Help.__doc__ or "",
            {
                "words": "string",
                "forms": "readonly string[]",
                "flags": "Readonly<Record<string, string>>",
            },
        ),
        _constant("INSTRUCTIONS", instructions, "Readonly<Record<string, Instruction>>"),
        _constant("AGE", status_text.AGE, "string"),
        _constant("TARGET", connections.TARGET, "string"),
        _constant("BEACON", connections.BEACON, "string"),
        _constant("LOG_LINES", LogsWidget.kept_lines, "number"),
    ]
    return "\n".join(parts)


def examples() -> str:
    """Return sizes and spans of time with their words, by the kernel's rules."""
    sizes = [
        *(0, 0.00001, 0.3, 1, 999, 999.4, 999.6, 1000, 1015, 1023, 1024, 1025, 1105, 1115, 1125),
        *(1126, 1135, 1536, 9995, 10_050, 10_150, 99_950, 999_499, 999_500, 999_900, 1_048_575),
        *(1_048_576, 4_262_000, 77_800_000, 187_000_000, 2_500_000_000, 7_773 * 2**20, 2**40),
        *(10**15, 10**18),
    ]
    edges = [0, *(span.below for span in units.SPANS[:-1]), 400 * 86400, 5000 * 86400]
    seconds = sorted({edge + more for edge in edges for more in (-0.5, 0, 0.5, 7)})
    made = {
        "size": [[size, units.human_size(size)] for size in sizes],
        "binary": [[size, units.binary_size(size)] for size in sizes],
        "duration": [[each, units.human_duration(each)] for each in seconds],
    }
    lists = (f'"{name}": {json.dumps(pairs)}' for name, pairs in made.items())
    return "{\n" + ",\n".join(lists) + "\n}\n"


TARGETS: Mapping[Path, Callable[[], str]] = {
    LABEXTENSION / "src/lab/protocol.ts": protocol,
    LABEXTENSION / "src/messages.ts": widgets,
    LABEXTENSION / "src/facts.ts": facts,
    LABEXTENSION / "tests/examples.json": examples,
}


def _types(module: Any, from_page: Any) -> list[str]:
    """Return an interface for each message of a module, and its unions and choices by name."""
    members = vars(module).items()
    kinds = [
        value
        for _, value in members
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value is not msgspec.Struct
    ]
    aliases = [
        f"export type {name} = {' | '.join(_choice(one) for one in get_args(value))};\n"
        for name, value in members
        if get_origin(value) in (Literal, Union, types.UnionType)
    ]
    return [*(_interface(kind, from_page) for kind in kinds), *aliases]


def _interface(kind: type[msgspec.Struct], from_page: Any) -> str:
    info: Any = inspect.type_info(kind)
    fields: dict[str, str] = {}
    if info.tag_field:
        fields[info.tag_field] = f'"{info.tag}"'
    # A field with a default may be missing in a page's message; the kernel sends all fields.
    for field in info.fields:
        optional = "?" if kind in from_page and not field.required else ""
        fields[field.encode_name + optional] = _text(field.type)
    return _record(kind.__name__, kind.__doc__ or "", fields)


def _record(name: str, words: str, fields: Mapping[str, str]) -> str:
    lines = "".join(f"  {key}: {text};\n" for key, text in fields.items())
    return f"{_comment(words)}\nexport interface {name} {{\n{lines}}}\n"


def _comment(docstring: str) -> str:
    """Return a docstring as a comment above a declaration."""
    lines = cleandoc(docstring).replace("``", "`").split("\n")
    if len(lines) == 1:
        return f"/** {lines[0]} */"
    return "\n".join(["/**", *(f" * {line}".rstrip() for line in lines), " */"])


def _constant(name: str, value: object, kind: str) -> str:
    if isinstance(value, list):
        lines = "".join(f"  {json.dumps(one, ensure_ascii=False)},\n" for one in value)
        return f"export const {name}: {kind} = [\n{lines}];\n"
    nested = isinstance(value, dict) and any(isinstance(one, dict) for one in value.values())
    text = json.dumps(value, indent=2 if nested else None, ensure_ascii=False)
    return f"export const {name}: {kind} = {text};\n"


def _choice(value: Any) -> str:
    return str(value.__name__) if isinstance(value, type) else json.dumps(value)


def _text(info: Any) -> str:
    if type(info) in _SIMPLE:
        return _SIMPLE[type(info)]
    if isinstance(info, inspect.StructType):
        return info.cls.__name__
    if isinstance(info, inspect.LiteralType):
        return " | ".join(f'"{value}"' for value in sorted(info.values))
    if isinstance(info, inspect.ListType):
        inner = _text(info.item_type)
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if isinstance(info, inspect.TupleType):
        return f"[{', '.join(_text(item) for item in info.item_types)}]"
    if isinstance(info, inspect.DictType):
        return f"Record<{_text(info.key_type)}, {_text(info.value_type)}>"
    if isinstance(info, inspect.UnionType):
        return " | ".join(_text(item) for item in info.types)
    raise TypeError(f"no TypeScript for {info}")


if __name__ == "__main__":
    for target, made in TARGETS.items():
        target.write_text(made(), encoding="utf-8")
