from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.expand import ExpansionError, Lexer

ENV = {"set": "value", "empty": "", "path": "/a/b.tar.gz", "x": "a*b?c", "words": "80 443"}

TABLE = [
    ("plain", "plain"),
    ("$set", "value"),
    ("${set}", "value"),
    ("$unset", ""),
    ("${unset}", ""),
    ("pre${set}post", "prevaluepost"),
    ("$set-x", "value-x"),
    ("$set.$set", "value.value"),
    ("$setx", ""),
    ("${unset:-d}", "d"),
    ("${empty:-d}", "d"),
    ("${set:-d}", "value"),
    ("${unset-d}", "d"),
    ("${empty-d}", ""),
    ("${unset:+y}", ""),
    ("${empty:+y}", ""),
    ("${set:+y}", "y"),
    ("${unset+y}", ""),
    ("${empty+y}", "y"),
    ("${set:?no}", "value"),
    ("${empty?no}", ""),
    ("${unset:-${set}}", "value"),
    ("${unset:-${other:-deep}}", "deep"),
    ("${unset:-a b}", "a b"),
    ('${unset:-"a b"}', "a b"),
    (r"${unset:-a\}b}", "a}b"),
    ("${path#*/}", "a/b.tar.gz"),
    ("${path##*/}", "b.tar.gz"),
    ("${path%.*}", "/a/b.tar"),
    ("${path%%.*}", "/a/b"),
    ("${path#nomatch}", "/a/b.tar.gz"),
    ("${set#v?l}", "ue"),
    (r"${x#a\*}", "b?c"),
    ("${path/a/X}", "/X/b.tar.gz"),
    ("${path//a/X}", "/X/b.tXr.gz"),
    (r"${path//\//-}", "-a-b.tar.gz"),
    ("${path/t*r/zip}", "/a/b.zip.gz"),
    ("${set//e/}", "valu"),
    ("$", "$"),
    ("a$", "a$"),
    ("$$", ""),
    ("$1x", "x"),
    (r"\$set", "$set"),
    (r"\\$set", r"\value"),
    (r"a\ b", "a b"),
    ("'$set'", "$set"),
    ('"$set"', "value"),
    (r'"\$set \" \x"', r'$set " \x'),
    ("'a'\"b\"c", "abc"),
    ("trailing\\", "trailing"),
    ("${ünset:-ü}", "ü"),
]


@pytest.mark.parametrize(("word", "expected"), TABLE)
def test_expands(word: str, expected: str) -> None:
    assert Lexer().expand(word, ENV).text == expected


@pytest.mark.parametrize(
    ("word", "message", "position"),
    [
        ("${", "missing '}'", 2),
        ("ab${set", "missing '}'", 7),
        ("${set:-x", "missing '}'", 8),
        ("${}", "bad substitution", 2),
        ("${:x}", "bad substitution", 2),
        ("${{x}", "bad substitution", 2),
        ("${set^}", "unsupported modifier (^)", 6),
        ("${set:#x}", "unsupported modifier (:#)", 7),
        ("${set:}", "unsupported modifier (:})", 7),
        ("${set/x}", "missing '/'", 8),
        (r"${set#\x}", r"invalid escape '\x'", 9),
        ("${unset:?need it}", "unset: need it", 17),
        ("${empty:?}", "empty: is not allowed to be empty", 10),
        ("${unset?}", "unset: is not allowed to be unset", 9),
        ("a'b", "single quote", 1),
        ('a"b', "double quote", 1),
        ("${a:-" * 60, "nested too deeply", 200),
    ],
)
def test_says_what_is_wrong_and_where(word: str, message: str, position: int) -> None:
    with pytest.raises(ExpansionError) as caught:
        Lexer().expand(word, ENV)
    assert message in caught.value.message
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$words", ("80", "443")),
        ('"$words"', ("80 443",)),
        ("a$words", ("a80", "443")),
        ("  a   b ", ("a", "b")),
        ("a '' b", ("a", "", "b")),
        (r"a\ b c", ("a b", "c")),
        ("$unset", ()),
    ],
)
def test_splits_into_words(word: str, expected: tuple[str, ...]) -> None:
    assert Lexer().expand(word, ENV).words == expected


@pytest.mark.parametrize(
    ("lexer", "word", "expected"),
    [
        (Lexer("`"), r"c:\dir`$set\$set", r"c:\dir$set\value"),
        (Lexer(plain_quotes=True), "'$set' \"$set\" \\$set", "'value' \"value\" $set"),
        (Lexer(keep_unset=True), "$set $unset ${unset:-x}", "value $unset ${unset:-x}"),
        (Lexer(raw_quotes=True), "'a' \"$set\"", "'a' \"value\""),
        (Lexer(raw_escapes=True), r"a\ b", r"a\ b"),
    ],
)
def test_ways_to_read(lexer: Lexer, word: str, expected: str) -> None:
    assert lexer.expand(word, ENV).text == expected


def test_names_what_is_unset() -> None:
    assert Lexer().expand("$set $a ${b} ${c:-x} ${d#x}", ENV).unset == {"a", "b", "c", "d"}


@given(st.text(alphabet="ab$:{}-+?#%/*\\'\" ", max_size=40))
def test_expands_or_raises_expansion_error(word: str) -> None:
    position = 0
    try:
        Lexer().expand(word, {"a": "b", "b": ""})
    except ExpansionError as error:
        position = error.position
    assert 0 <= position <= len(word)
