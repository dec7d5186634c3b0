from __future__ import annotations

from types import SimpleNamespace

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.magics.line import command_lines, words_of

NAMESPACE = {"tag": "app:1", "text": "two words", "files": ["a b", "c"], "n": 3}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run img sh -c 'echo hi'", ["run", "img", "sh", "-c", "echo hi"]),
        ("run {{tag}}", ["run", "app:1"]),
        ("-e A={{text}}", ["-e", "A=two words"]),
        ('-e "A={{ text }}"', ["-e", "A=two words"]),
        ("rm {{files}}", ["rm", "a b", "c"]),
        ("x={{files}}", ["x=['a b', 'c']"]),
        ("{{n + 1}} {{'a b'.upper()}}", ["4", "A B"]),
        ("{{[f for f in files if n][1]}}", ["c"]),
        ("--format '{{.Names}} {{json .}}'", ["--format", "{{.Names}} {{json .}}"]),
        ("--format {{.Names}}", ["--format", "{{.Names}}"]),
        ("-f '{{range .A}}x{{end}}'", ["-f", "{{range .A}}x{{end}}"]),
        ("-f '{{json .n}}'", ["-f", "{{json .n}}"]),
        ("echo $HOME {x}", ["echo", "$HOME", "{x}"]),
        ("", []),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert words_of(line, NAMESPACE) == words


def test_an_image_stands_for_its_id() -> None:
    assert words_of("run {{image}}", {"image": SimpleNamespace(id="sha256:ab")}) == [
        "run",
        "sha256:ab",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [("{{nope}}", "NameError"), ("echo 'x", "quot"), ("build {{ {'a': 1} }}", "a dict is no word")],
)
def test_mistakes(line: str, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        words_of(line, NAMESPACE)


def test_command_lines() -> None:
    cell = "# note\npull a\n\n  run \\\n    --rm a\nps \\"
    assert command_lines(cell) == ["pull a", "run  --rm a", "ps"]
