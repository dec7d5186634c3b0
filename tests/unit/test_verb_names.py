"""Verbs are named only in ``commands/grammar``; other modules read their declarations.

A front end that compares names must be found and changed for every verb that is added.  This looks
for strings that are a verb's spelling in the rooms that can know a verb (the rooms below cannot
import them).  Keys of flags and operands do not count.  An exception names the file and the words,
and the meaning of the words there.

Seen to fail with ``if parsed.verb.name == "logs"`` put back into ``cli._print``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_containers
from jupyter_containers.commands.grammar import spellings

PACKAGE = Path(jupyter_containers.__file__).parent
ROOMS = ("cli.py", "provisioner.py", "magics", "commands", "panel", "widgets", "grading")
GRAMMAR = "commands/grammar"
# Methods whose first argument is the key of a flag.
BY_KEY = {"flag", "get", "pop", "setdefault"}

_ACTIONS = {"start", "stop", "restart", "pause", "unpause", "kill"}
_MODULE = "the name of the widget's module in the browser"
EXCEPTIONS = {
    "commands/applications.py": (
        {"start", "stop", "restart"},
        "what a widget or the panel asks for (messages.ApplicationAct, ActOnProject)",
    ),
    "commands/render/drawing.py": ({"start"}, "a value of SVG's text-anchor"),
    "commands/render/rawprogress.py": ({"logs"}, "a key of BuildKit's JSON"),
    "commands/verbs/builds.py": ({"build", "rm"}, "a value of --call, a key of a flag"),
    "commands/render/call_documents.py": ({"start"}, "a key of BuildKit's JSON"),
    "commands/verbs/calling.py": ({"build"}, "a value of --call"),
    "commands/verbs/applications.py": (
        {"attach", "build", "pull", "version", "wait"},
        "keys of flags, and of a JSON document",
    ),
    "commands/verbs/compose.py": ({"images"}, "the key of a flag of compose config"),
    "panel/calls.py": (_ACTIONS, "the panel's own actions (messages.Action)"),
    "panel/feed.py": ({"attach", "images", "top"}, "actions of events, the panel's sections"),
    "panel/listing.py": ({"images"}, "a section of the panel"),
    "panel/messages.py": (
        _ACTIONS | {"images", "inspect", "layers", "login", "logs", "tag"},
        "the schema of the panel's messages",
    ),
    "panel/prune.py": ({"images"}, "a section of the panel"),
    "panel/views.py": ({"layers", "logs"}, "kinds of views (messages.ViewKind)"),
    "magics/compose_cell.py": (
        {"compose up", "attach"},
        "what %%compose is without a verb, a key of its flags",
    ),
    "widgets/application.py": (
        {"create", "start", "stop", "restart", "pause", "unpause", "rename", "update", "logs"},
        "actions of events, what its buttons send",
    ),
    "widgets/dashboard.py": ({"start", "stop", "restart", "logs"}, "what its buttons send"),
    "widgets/explain.py": ({"explain"}, _MODULE),
    "widgets/layers.py": ({"layers"}, _MODULE),
    "widgets/logs.py": ({"logs"}, _MODULE),
    "widgets/messages.py": (
        {"logs", "restart", "search", "start", "stop"},
        "the schema of the widgets' messages",
    ),
    "widgets/network.py": ({"create", "pause", "rename", "start", "unpause"}, "actions of events"),
    "widgets/stats.py": ({"stats"}, _MODULE),
}


def files() -> Iterator[Path]:
    for room in ROOMS:
        place = PACKAGE / room
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if not file.is_relative_to(PACKAGE / GRAMMAR):
                yield file


def named(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string that is a verb's spelling and not a key."""
    tree = ast.parse(source)
    keys: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            keys.add(node.slice)
        elif isinstance(node, ast.Dict):
            # A switch by its key, as in {"rm": True}; a table by verbs has other values.
            pairs = zip(node.keys, node.values, strict=True)
            keys |= {key for key, value in pairs if key is not None and _is_switch(value)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            keys |= set(node.args[:1]) if node.func.attr in BY_KEY else set()
    known = spellings()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in keys and node.value in known:
            yield node.lineno, node.value


def _is_switch(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def names_in(file: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line, text in named(file.read_text(encoding="utf-8")):
        found.setdefault(text, []).append(line)
    return found


def test_no_verb_is_named_outside_the_grammar() -> None:
    wrong = []
    for file in files():
        place = str(file.relative_to(PACKAGE))
        allowed, _ = EXCEPTIONS.get(place, (set(), ""))
        wrong += [
            f"{place}:{line} names {text!r}"
            for text, lines in names_in(file).items()
            if text not in allowed
            for line in lines
        ]
    assert not wrong, "\n".join([*wrong, "declare it as data of the verb (commands/words.py)"])


@pytest.mark.parametrize("place", EXCEPTIONS)
def test_every_exception_is_needed(place: str) -> None:
    words, reason = EXCEPTIONS[place]
    assert reason
    assert words == words & names_in(PACKAGE / place).keys()


@pytest.mark.parametrize(
    "source",
    [
        'if parsed.verb.name == "logs": ...',
        'match verb.name:\n    case "network inspect": ...',
        'SCRIPTED = ("run", "exec")',
        'KEPT = {"pull": "what has come is kept"}',
        'execute(session, ["container", "diff", name])',
    ],
)
def test_what_names_a_verb_is_found(source: str) -> None:
    assert [*named(source)]


@pytest.mark.parametrize(
    "source",
    ['parsed.flag("rm")', 'flags["attach"] = True', 'flags.pop("load", 0)', 'f({"rm": True})'],
)
def test_keys_of_flags_do_not_count(source: str) -> None:
    assert not [*named(source)]
