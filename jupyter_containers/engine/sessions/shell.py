"""The shell's side of the protocol: requests as lines of shell, values as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jupyter_containers.errors import InvalidArgumentError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def write(kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return a request as a line for the agent's shell."""
    number, count = fields.get("number", 0), fields.get("count", 0)
    if kind == "input_reply":
        text = fields.get("text")
        return ("-" if text is None else f"={_first_line(text)}").encode() + b"\n"
    if kind == "interrupt":
        line = f"__session_done 130 {number} 0"
    elif kind == "run":
        code = quoted(fields["code"])
        numbers = f"__session_busy={number} __session_count={count}"
        line = f"{numbers}; command eval {code} </dev/null; __session_done $? {number} {count}"
    elif kind == "push":
        name, value = _name(fields["name"]), _text(body, str(fields["file"]))
        line = f"{name}={value}; __session_done $? {number} 0"
    elif kind == "pull":
        line = f"__session_pull {_name(fields['name'])}; __session_done $? {number} 0"
    else:
        line = f"{_question(kind, fields)}; __session_done 0 {number} 0"
    return line.encode("utf-8", "surrogateescape") + b"\n"


def quoted(text: str) -> str:
    """Return a text as one word of shell; NUL has no place in a shell's text."""
    return "'" + text.replace("\0", "").replace("'", "'\\''") + "'"


def _question(kind: str, fields: Mapping[str, Any]) -> str:
    """Return the command that completes or explains the word at a position."""
    code, position = str(fields["code"]), int(fields["position"])
    before = code[:position]
    word = before[re.search(r"[^\s;|&()<>`\"']*$", before).start() :]  # type: ignore[union-attr]  # matches always
    if kind == "inspect":
        rest = re.match(r"[^\s;|&()<>`\"']*", code[position:])
        name = quoted(word + (rest.group() if rest else ""))
        text = f"command -V {name} 2>/dev/null && {{ help {name} 2>/dev/null; true; }}"
        message = '{"type":"inspection","body":true}'
        return f"__session_send '{message}'; ({text}) >&8; __session_send '{{\"type\":\"end\"}}'"
    first = int(
        bool(re.search(r"(^|[;|&(`\n]|\b(do|then|else))\s*$", before[: -len(word) or None]))
    )
    message = json.dumps({"type": "completions", "start": position - len(word), "body": True})
    return (
        f"__session_send {quoted(message)}; (__session_complete {quoted(word)} {first}) >&8 "
        '2>/dev/null; __session_send \'{"type":"end"}\''
    )


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(f"{name!r} is no name of a shell's variable")
    return name


def _text(body: bytes, file: str) -> str:
    """Return a value as a word: text and numbers as they are, lists a line each, else JSON."""
    if not file.endswith(".json"):
        return quoted(body.decode("utf-8", "replace"))
    value = json.loads(body)
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        return quoted("\n".join(map(_word, value)))
    return quoted(_word(value))


def _word(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
