"""The panel's messages as TypeScript: ``python -m tests.unit.panel.typescript`` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from jupyter_containers.panel import messages

TARGET = Path(__file__).parents[3] / "labextension/src/lab/protocol.ts"
_HEAD = """\
// Made from jupyter_containers/panel/messages.py; do not edit.
//
//   python -m tests.unit.panel.typescript
"""
_SIMPLE = {
    inspect.AnyType: "any",
    inspect.NoneType: "null",
    inspect.BoolType: "boolean",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.StrType: "string",
}


def typescript() -> str:
    """Return the whole module."""
    kinds = [
        value
        for value in vars(messages).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
        if value is not msgspec.Struct
    ]
    parts = [_HEAD, f"export const VERSION = {messages.VERSION};\n"]
    parts += [_interface(kind) for kind in kinds]
    unions = {
        "Call": messages.Call,
        "FromPage": messages.FromPage,
        "FromKernel": messages.FromKernel,
    }
    for name, union in unions.items():
        parts.append(f"export type {name} = {_text(inspect.type_info(union))};\n")
    parts.append(f"export type Section = {_text(inspect.type_info(messages.Section))};\n")
    parts.append(f"export type Action = {_text(inspect.type_info(messages.Action))};\n")
    parts.append(f"export type ObjectKind = {_text(inspect.type_info(messages.ObjectKind))};\n")
    parts.append(f"export type ViewKind = {_text(inspect.type_info(messages.ViewKind))};\n")
    calls = [item.cls for item in inspect.type_info(messages.Call).types]
    returns = {
        call.__struct_config__.tag: _text(inspect.type_info(messages.RETURNS[call]))
        if call in messages.RETURNS
        else "null"
        for call in calls
    }
    parts.append(_record("Returns", "What a call returns.", returns))
    items = {name: kind.__name__ for name, kind in messages.ITEMS.items()}
    parts.append(_record("Items", "What a section holds.", items))
    return "\n".join(parts)


def _interface(kind: type[msgspec.Struct]) -> str:
    info = inspect.type_info(kind)
    fields: dict[str, str] = {}
    if info.tag_field:
        fields[info.tag_field] = f'"{info.tag}"'
    # A field with a default may be missing in what a page says; the kernel says all of them.
    from_page = kind in {item.cls for item in inspect.type_info(messages.Call).types}
    for field in info.fields:
        optional = "?" if from_page and not field.required else ""
        fields[field.encode_name + optional] = _text(field.type)
    return _record(kind.__name__, (kind.__doc__ or "").replace("``", "`"), fields)


def _record(name: str, words: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {key}: {text};\n" for key, text in fields.items())
    return f"/** {words} */\nexport interface {name} {{\n{lines}}}\n"


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
    if isinstance(info, inspect.DictType):
        return f"Record<{_text(info.key_type)}, {_text(info.value_type)}>"
    if isinstance(info, inspect.UnionType):
        return " | ".join(_text(item) for item in info.types)
    raise TypeError(f"no TypeScript for {info}")


if __name__ == "__main__":
    TARGET.write_text(typescript())
