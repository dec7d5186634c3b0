from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.build.interpret import typed
from jupyter_containers.build.parser import KEYWORDS, extract_flags, parse
from jupyter_containers.errors import DockerfileSyntaxError


def nodes(text: str) -> list[tuple[str, str]]:
    return [(node.keyword, node.rest) for node in parse(text).nodes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n# c\n", []),
        ("FROM a", [("FROM", "a")]),
        ("from a\r\nRun b\r\n", [("FROM", "a"), ("RUN", "b")]),
        ("\ufeffFROM a", [("FROM", "a")]),
        ("RUN a \\\n  b", [("RUN", "a   b")]),
        ("RUN a\\\nb", [("RUN", "ab")]),
        ("RUN a \\  \n b", [("RUN", "a  b")]),
        ("RUN a \\\n# c\n\n  # d\n b", [("RUN", "a  b")]),
        ("RUN a \\\\\nRUN b", [("RUN", "a \\\\"), ("RUN", "b")]),
        ("RUN a \\", [("RUN", "a")]),
        ("\\\nFROM a", [("FROM", "a")]),
        ("# escape=`\nRUN a `\nb\\\n", [("RUN", "a b\\")]),
        ("RUN  \t a\t b ", [("RUN", "a\t b")]),
        ("RUN echo # no comment", [("RUN", "echo # no comment")]),
    ],
)
def test_logical_lines(text: str, expected: list[tuple[str, str]]) -> None:
    assert nodes(text) == expected


def test_nodes_know_their_lines() -> None:
    found = parse("# c\nFROM a\n\nRUN a \\\n # c\n b\nRUN <<E\nx\nE\nCMD c", "file").nodes
    assert [(n.location.first_line, n.location.last_line) for n in found] == [
        (2, 2), (4, 6), (7, 9), (10, 10)
    ]  # fmt: skip
    assert found[1].location.excerpt == ("RUN a \\", " # c", " b")
    assert str(found[2].location) == "file:7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN <<EOF\na\nEOF\n", [("EOF", "a\n", True, False)]),
        ("RUN <<'EOF'\n$a\nEOF\n", [("EOF", "$a\n", False, False)]),
        ('COPY <<"a b" /x\nz\na b\n', [("a b", "z\n", False, False)]),
        ("RUN <<-EOF\n\ta\n\tEOF\n", [("EOF", "\ta\n", True, True)]),
        ("COPY <<A <<B /x\n1\nA\n2\nB", [("A", "1\n", True, False), ("B", "2\n", True, False)]),
        ("ADD <<E /x\nE", [("E", "", True, False)]),
        ("ONBUILD RUN <<E\nx\nE", [("E", "x\n", True, False)]),
        ("RUN cat 3<<E\nx\nE", [("E", "x\n", True, False)]),
        ("RUN <<E\n# kept\n\nRUN x \\\nE", [("E", "# kept\n\nRUN x \\\n", True, False)]),
        ("RUN cat <<<here", []),
        ('RUN echo "<<EOF"', []),
        ('RUN ["<<EOF"]', []),
        ("ENV a=<<EOF", []),
        ("RUN a << b", []),
    ],
)
def test_heredocs(text: str, expected: list[tuple[str, str, bool, bool]]) -> None:
    (node,) = parse(text).nodes
    assert [(h.name, h.content, h.expand, h.chomp) for h in node.heredocs] == expected


def test_directives() -> None:
    parsed = parse("# syntax=docker/dockerfile:1\n#escape = `\n# check=skip=all\nFROM a")
    assert (parsed.directives.syntax, parsed.escape) == ("docker/dockerfile:1", "`")
    assert parsed.directives.check == "skip=all"
    assert parse("# comment\n# escape=`\nFROM a").escape == "\\"
    assert parse("# unknown=1\n# escape=`\nFROM a").escape == "\\"


@pytest.mark.parametrize(
    ("text", "message", "hint", "lines"),
    [
        ("FROM a\nRUNN x", "unknown instruction: RUNN", "did you mean RUN?", (2, 2)),
        ("FROM a\nxyzzy", "unknown instruction: xyzzy", "one of ADD", (2, 2)),
        ("FROM a\nRUN <<E\nx", "unterminated heredoc", "holds only E", (2, 3)),
        ("# escape=x\n", "invalid escape", "use", (1, 1)),
        ("# escape=`\n# escape=`\n", "only one escape", "", (2, 2)),
    ],
)
def test_errors_point_at_lines(text: str, message: str, hint: str, lines: tuple[int, int]) -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        parse(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    where = caught.value.location
    assert (where.first_line, where.last_line) == lines
    assert where.excerpt


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("a --b", (), "a --b"),
        ("--a --b=c d", ("--a", "--b=c"), "d"),
        ("--a='x y' z", ("--a=x y",), "z"),
        (r'--a="x \"y" z', ('--a=x "y',), "z"),
        (r"--a=x\ y z", ("--a=x y",), "z"),
        ("--a -- --b", ("--a",), "--b"),
        ("--a", ("--a",), ""),
        ("--a='unclosed", ("--a=unclosed",), ""),
    ],
)
def test_flags(text: str, flags: tuple[str, ...], rest: str) -> None:
    assert extract_flags(text) == (flags, rest)


_WORDS = st.sampled_from(
    [*KEYWORDS, "from", "<<EOF", "<<-'E'", "EOF", "E", "\\", "`", '["a"', "]", "--mount=type=",
     "--from=x", "--", "$a", "${a", "'", '"', "=", "a=b", "AS", "NONE", "CMD", "#", "\t", "\n",
     "\\\n", "\r\n", " ", "# escape=`\n", "\0", "é", "\ud800", "--retries=9", "9" * 30]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=30).map(" ".join)))
def test_any_text_parses_or_raises_a_syntax_error(text: str) -> None:
    lines = text.count("\n") + 1
    try:
        parsed = parse(text)
        typed(parsed)
    except DockerfileSyntaxError as error:
        location, report = error.location, error.report()
    else:
        last = 0
        for node in parsed.nodes:
            assert last < node.location.first_line <= node.location.last_line
            last = node.location.last_line
            assert len(node.location.excerpt) == last - node.location.first_line + 1
        assert last <= lines
        return
    assert 1 <= location.first_line <= lines
    assert report
