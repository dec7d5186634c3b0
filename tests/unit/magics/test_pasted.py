from __future__ import annotations

import pytest

from jupyter_containers.magics.pasted import make_transform

read = make_transform({"ps", "run", "build"}.__contains__, lambda: False)


def cell(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def test_comments_above_a_magic_move_below_it() -> None:
    lines = read(cell("# a base\n\n%%dockerfile -t x\nFROM scratch\n"))
    assert lines == cell("%%dockerfile -t x\n# a base\n\nFROM scratch\n")


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("%container?", "%container --help\n"),
        ("%container run?", "%container run --help\n"),
        ("%%container network create ??", "%container network create --help\n"),
        ("%docker ps?", "%container ps --help\n"),
    ],
)
def test_a_question_mark_asks_for_the_commands_help(line: str, asked: str) -> None:
    assert read([line]) == [asked]


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("docker ps", "write %container ps"),
        ("$ sudo docker run --rm a", "write %container run --rm a"),
        ("# list\ndocker ps\ndocker run a", "write %%container above these lines"),
        ("podman build .", "write %container build ."),
        ("%docker ps -a", "write %container ps -a (%config ContainersConfig"),
        ("%%docker\nps", "write %%container (%config"),
    ],
)
def test_a_pasted_command_names_the_line_to_write(text: str, instead: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        read(cell(text))
    assert instead in str(caught.value.msg)
    assert (
        caught.value.lineno
        == text[: text.index("docker" if "docker" in text else "p")].count("\n") + 1
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "docker = 3",
        "docker .run()",
        "docker is None",
        "x = docker",
        "docker push",
        "# c\n%timeit x",
        "%container ps",
        "%%dockerfile -t x\n# c\nFROM scratch",
        "%container run img sh -c 'ls ?'",
    ],
)
def test_other_cells_are_as_they_were(text: str) -> None:
    assert read(cell(text)) == cell(text)


def test_the_alias_is_left_to_ipython_where_it_is() -> None:
    assert make_transform(bool, lambda: True)(["%docker ps"]) == ["%docker ps"]
