from __future__ import annotations

import pytest

from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.patterns import glob, has_wildcard, unescape
from jupyter_containers.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*", "a/b", False),
        ("*c", "abc", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[^e-g]", "abc", True),
        ("ab[^b-d]", "abc", False),
        ("[]a]", "]", None),
        ("[-]", "-", None),
        ("[a-]", "a", None),
        ("[", "a", None),
        ("[^", "a", None),
        ("a[", "a", None),
        ("[x-a]", "x", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "ab", False),
        (r"[\]a]", "]", True),
        ("a\\", "a", None),
        ("a+b(c)$.", "a+b(c)$.", True),
        ("a***b", "axb", True),
        ("é*", "éa", True),
        ("a\nb", "a\nb", True),
    ],
)
def test_matches_like_filepath_match(pattern: str, name: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(InvalidArgumentError, match="invalid pattern"):
            glob(pattern)
    else:
        assert bool(glob(pattern).fullmatch(name)) is expected


def test_wildcards_can_be_escaped() -> None:
    assert has_wildcard("a[b]")
    assert not has_wildcard(r"a\[b")
    assert unescape(r"a\[b\\") == "a[b\\"


@pytest.mark.parametrize(
    ("rules", "ignored", "kept"),
    [
        ("*.log", ["a.log"], ["d/a.log", "a.txt"]),
        ("**/*.log", ["a.log", "d/a.log", "d/e/a.log"], ["a.logs"]),
        ("d", ["d", "d/a", "d/e/f"], ["dd", "e/d"]),
        ("/d/", ["d", "d/a"], ["e/d"]),
        ("d/**", ["d/a", "d/e/f"], ["d", "e"]),
        ("**", ["a", "d/a"], []),
        ("**/d", ["d", "e/d", "e/f/d", "e/d/x"], ["xd"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/bc"]),
        ("*\n!*.md", ["a", "d/a"], ["README.md"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README-x.md"]),
        ("*.md\nREADME-secret.md\n!README*.md", ["a.md"], ["README-secret.md"]),
        ("d\n!d/keep", ["d/a", "d/e/keep"], ["d/keep", "d/keep/x"]),
        ("# c\n\n  a  \n", ["a"], ["# c"]),
        ("./a/../b", ["b"], ["a"]),
        ("../x", [], ["x", "a"]),
        ("temp?", ["tempa"], ["temp", "temp/a"]),
        ("a.b", ["a.b"], ["axb"]),
        (".", [], ["a"]),
    ],
)
def test_ignore_rules(rules: str, ignored: list[str], kept: list[str]) -> None:
    parsed = IgnoreRules.parse(rules)
    assert [path for path in ignored + kept if parsed.ignores(path)] == ignored


@pytest.mark.parametrize(
    ("rules", "folder", "expected"),
    [
        ("d\n!d/keep", "d", True),
        ("d\n!d/*/keep", "d/e", True),
        ("d\n!d/*/keep", "d/e/f", False),
        ("d\n!**/keep", "d", True),
        ("d\n!e/keep", "d", False),
        ("!d/keep\nd", "d", False),
        ("d", "d", False),
    ],
)
def test_ignored_folders_are_entered_only_for_what_may_return(
    rules: str, folder: str, expected: bool
) -> None:
    parsed = IgnoreRules.parse(rules)
    state = 0
    parts = folder.split("/")
    for count in range(len(parts)):
        state = parsed.step(state, "/".join(parts[: count + 1]))
    assert parsed.may_return(folder, state) is expected


def test_bad_rules_name_their_file() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\.dockerignore: invalid pattern '\[a'"):
        IgnoreRules.parse("[a")
    with pytest.raises(InvalidArgumentError, match="missing after '!'"):
        IgnoreRules.parse("!")


def test_a_folder_kept_out_is_taken_literally_and_never_back() -> None:
    rules = IgnoreRules.parse("!a*/store\n").without("a*/store")
    assert rules.ignores("a*/store/records.db")
    assert not rules.ignores("ab/store")
    assert not rules.may_return("a*/store", rules.step(rules.start(), "a*/store"))
