"""Answers of the Docker Engine API by their shape: status, headers, names and kinds of fields."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.integration.api_cases import Case

FROZEN = Path(__file__).parents[1] / "data" / "api" / "answers.json"
_HEADERS = ("Content-Type", "X-Docker-Container-Path-Stat", "Transfer-Encoding", "Content-Length")
_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def ask_all(path: Path, cases: Iterable[Case]) -> dict[str, Any]:
    """Return the shapes of a service's answers, by the names of the cases."""
    kept: dict[str, str] = {}
    found: dict[str, Any] = {}
    for case in cases:
        filled = re.sub(r"\{(\w+)\}", lambda match: kept.get(match[1], "none"), case.path)
        found[case.name], document = _ask(path, case, filled)
        word, field = case.keep
        if word and isinstance(document, dict) and field in document:
            kept[word] = document[field]
    return found


def _ask(path: Path, case: Case, filled: str) -> tuple[dict[str, Any], Any]:
    connection = _Connection(path)
    headers = {"Content-Type": "application/json"} if case.data is not None else {}
    try:
        connection.request(case.method, filled, case.data, {**headers, **case.headers})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    shown = {name: answer.headers[name] for name in _HEADERS[:1] if name in answer.headers}
    shown |= {name: "" for name in _HEADERS[1:2] if name in answer.headers}
    document: Any = None
    is_json = bool((shown.get("Content-Type") or "").startswith("application/json") and content)
    if is_json:
        lines = [json.loads(line) for line in content.splitlines() if line.strip()]
        document = lines[0] if len(lines) == 1 else lines
    body: Any = shape(document) if is_json else ("bytes" if content else "")
    if isinstance(document, dict) and set(document) == {"message"}:
        body = {"message": document["message"]}
    return {"status": answer.status, "headers": shown, "body": body}, document


def shape(value: Any) -> Any:
    """Return the names and kinds of a document's fields; a list has the union of its items'."""
    if isinstance(value, dict):
        return {_ID.sub("ID", key): shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        merged: Any = None
        for item in value:
            merged = _merged(merged, shape(item))
        return [] if merged is None else [merged]
    if value is None:
        return "null"
    return {bool: "truth", int: "number", float: "number", str: "text"}[type(value)]


def _merged(left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        names = sorted({*left, *right})
        return {name: _merged(left.get(name), right.get(name)) for name in names}
    if isinstance(left, list) and isinstance(right, list):
        return left + right if not left or not right else [_merged(left[0], right[0])]
    return right if left in (None, "null", []) else left


Note = Callable[[str], None]


def differences(ours: Any, theirs: Any) -> list[str]:
    """Return where an answer is not of Docker's shape; more fields than Docker's are no difference.

    ``null`` and an empty list or object are the same to clients.
    """
    found: list[str] = []
    if ours["status"] // 100 == 4 and theirs["status"] in (400, 500):
        # What Docker says of a request that cannot be read: here it is the client's mistake.
        return [] if "message" in ours["body"] or not theirs["body"] else ["no message"]
    if ours["status"] != theirs["status"]:
        found.append(f"status {ours['status']} instead of {theirs['status']}")
        return found
    refusal = isinstance(ours["body"], dict) and set(ours["body"]) == {"message"}
    if ours["status"] >= 400 and refusal:
        return []  # also where Docker says it in plain text
    for name, value in theirs["headers"].items():
        if ours["headers"].get(name) != value:
            found.append(f"header {name}: {ours['headers'].get(name)!r} instead of {value!r}")
    body, wanted = ours["body"], theirs["body"]
    if isinstance(wanted, dict) and set(wanted) == {"message"}:
        if not isinstance(body, dict) or set(body) != {"message"}:
            found.append(f"{body} instead of a message")
        return found
    _compare(body, wanted, "", found.append)
    return found


_EMPTY = ("null", [], {})


# Where the layers are is the engine's affair; counters and logs may be empty as yet.
_UNCOMPARED = re.compile(
    r".*\.GraphDriver\.Data|\.Runtimes|\[\]\.Options|\.Containerd|.*\.io_servic\w*_recursive|.*\.Health\.Log"
)


def _compare(ours: Any, theirs: Any, place: str, note: Note) -> None:
    if _UNCOMPARED.fullmatch(place):
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name, value in theirs.items():
            if name not in ours:
                note(f"{place}.{name} is missing")
            else:
                _compare(ours[name], value, f"{place}.{name}", note)
    elif isinstance(theirs, list) and isinstance(ours, list):
        if theirs and ours:
            _compare(ours[0], theirs[0], f"{place}[]", note)
        elif theirs:
            note(f"{place} is empty")
    elif theirs in _EMPTY and (ours in _EMPTY or isinstance(ours, list | dict)):
        return
    elif ours != theirs:
        note(f"{place} is {ours} instead of {theirs}")
