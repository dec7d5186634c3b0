"""Whatever comes to a parser at the border, a value or a ContainersError comes out, and soon."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_containers.errors import ContainersError
from jupyter_containers.printable import printable
from tests.unit.border.parsers import BYTES_PARSERS, TEXT_PARSERS, Parser

# More of them: BORDER_EXAMPLES=5000 pytest tests/unit/border
pytestmark = pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
EXAMPLES = int(os.environ.get("BORDER_EXAMPLES", "30"))
# Seconds of this thread's processor time, doubled if another thread shares the core.
SECONDS = 2.0
MEGABYTES = 100
_COMMON = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 30,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# Inputs that have broken parsers: characters like digits, huge numbers, nesting, line ends …
FRAGMENTS = (
    *("²", "٣", "9" * 19, "9" * 30, "9" * 300, "9" * 310, "9" * 4301, "-1", "+1", "0x10", "1e999"),
    *("1_0", "inf", "nan", "-", "--", ".", "..", "/", "//", "//]", "[", "]", "[[", "http://["),
    *("://", ":", ",", "=", "==", ";", "@", "#", "?", "*", "**", "**/", "*a", "~", "~nobody-here"),
    *("\0", "\r", "\n", "\r\n", "\t", "\x1b[31m", "\x1b]52;c;x\x07", "\u2028", "\u202e", "\ud800"),
    *(
        "\udcff",
        "\U0001f40b",
        "İ",
        "ß",
        "'",
        '"',
        "`",
        "\\",
        "\\x",
        "$",
        "${",
        "}",
        "$(",
        "{{",
        "}}",
    ),
    *("{{end}}", "{{if .}}", "(", ")", "|", "&", "<<", "<<-EOF", "%", "%99999d", "%*d", "%s"),
    *("a" * 300, "0-99999999", "1-", "-5", "true", "null", "None", "0" * 300, "9999-12-31", "all"),
    *("type=", "device=", "count=", "from=", "size=", "mode=", "target=", "name=", "ip=", "dest="),
    *("compression-level=", "gw-priority=", "retries=", "printf ", "pad ", "index ", "slice "),
)
_MANY = 30_000
LONG = (
    *(piece * (_MANY // len(piece)) for piece in ("9", "[", "{{", "a,", "a=b,", "-", "/", "a/")),
    *(piece * (_MANY // len(piece)) for piece in ("${", "${X:-", "$X", '"', "\\", "\n", "%s", "(")),
    *(piece * (_MANY // len(piece)) for piece in ("1.1.", "1h", "a:", "@", "<", "=", "a", "*a")),
    *(piece * (_MANY // len(piece)) for piece in ("FROM a\n", "RUN <<E\n", "{{if .}}", "${X##*a}")),
    *("*a" * 5000 + "b", "**/" * 5000 + "b", "# a=" + " " * _MANY + "x", "{{" + " " * _MANY),
    *("{{" + "(" * _MANY + "}}", "FROM a\nEXPOSE " + "${" * _MANY, " " * _MANY + "x"),
    *("FROM a\nCMD [" + "[" * _MANY, "FROM a\nENV A=a\n" + "ENV A=$A$A\n" * 40),
    *("Bearer " + 'a="' * _MANY, "Bearer a=" + "\\" * _MANY, '<a>; rel="' * 3000),
    *("FROM a\nENV " + "A=b " * 10_000, "a" * 1_000_000, "1.1." * 10_000 + "/"),
)


def failure(parse: Callable[[Any], object], given: Any) -> ContainersError | None:
    """Return the error that a parser raises; any other than a ContainersError goes on."""
    try:
        parse(given)
    except ContainersError as error:
        return error
    return None


def outcome(parse: Callable[[Any], object], given: Any) -> None:
    """Run a parser; anything but a value or a ContainersError is a failure, and so is waiting."""
    began = time.thread_time()
    error = failure(parse, given)
    spent = time.thread_time() - began
    if error is not None:
        assert error.message == printable(error.message).replace("\n", " ")
        assert len(error.message) < 3000
        error.report().encode()
    assert spent < SECONDS, f"{spent:.1f} s for {given[:100]!r}"


def bent(seeds: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Inputs that the parser takes, with parts cut out, repeated or replaced, and pure rubbish."""
    pieces = st.sampled_from(FRAGMENTS) | st.text(max_size=3) | st.sampled_from(seeds)

    def spliced(seed: str, places: list[tuple[int, int, str]]) -> str:
        for start, length, piece in places:
            at = start % (len(seed) + 1)
            seed = seed[:at] + piece + seed[at + length :]
        return seed

    splices = st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 6), pieces), min_size=1, max_size=3
    )
    return st.builds(spliced, st.sampled_from(seeds), splices) | st.lists(pieces, max_size=5).map(
        "".join
    )


def bent_bytes(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Bytes likewise; those of JSON also with other values at the places of the keys."""
    texts = bent(tuple(seed.decode("latin-1") for seed in seeds))
    changed = texts.map(lambda text: text.encode("latin-1", "ignore"))
    utf8 = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    documents = [document for seed in seeds if (document := _document(seed)) is not None]
    if not documents:
        return changed | utf8
    return changed | utf8 | st.sampled_from(documents).flatmap(_revalued).map(_written)


_LEAVES = (
    st.none()
    | st.booleans()
    | st.sampled_from(
        [0, -1, 2**63, 2**64, 10**30, 10**400, 1e308, 1.5, float("inf"), float("nan")]
    )
    | st.sampled_from(FRAGMENTS)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def _revalued(document: Any) -> st.SearchStrategy[Any]:
    """Return documents with the keys of this one and, here and there, other values."""
    if isinstance(document, dict):
        same = st.fixed_dictionaries({key: _revalued(value) for key, value in document.items()})
    elif isinstance(document, list):
        same = (
            st.lists(st.sampled_from(document).flatmap(_revalued), max_size=3)
            if document
            else (st.just([]))
        )
    else:
        same = st.just(document)
    return st.integers(0, 9).flatmap(lambda chance: _VALUES if chance == 0 else same)


def _document(seed: bytes) -> Any:
    try:
        return json.loads(seed)
    except ValueError:
        return None


def _written(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("parser", TEXT_PARSERS, ids=str)
def test_texts(parser: Parser) -> None:
    for seed in parser.seeds:
        outcome(parser.parse, seed)

    @_COMMON
    @given(bent(parser.seeds))
    def check(text: str) -> None:
        outcome(parser.parse, text)

    check()


@pytest.mark.parametrize("parser", BYTES_PARSERS, ids=str)
def test_bytes(parser: Parser) -> None:
    for seed in parser.seeds:
        outcome(parser.parse, seed)

    @_COMMON
    @given(bent_bytes(parser.seeds))
    def check(data: bytes) -> None:
        outcome(parser.parse, data)

    check()


@pytest.mark.parametrize("parser", TEXT_PARSERS, ids=str)
def test_every_fragment_and_long_texts(parser: Parser) -> None:
    for text in (*FRAGMENTS, *(seed + text for seed in parser.seeds[:1] for text in FRAGMENTS)):
        outcome(parser.parse, text)
    for text in LONG:
        outcome(parser.parse, text)


LONG_BYTES = (
    *(b"[" * 1_000_000, b'{"a":' * 200_000, b"9" * 1_000_000, b'"' * 1_000_001, b"\xff" * 1000),
    *(b"\0" * 1_000_000, b"a = " + b"[" * 100_000),
    b"\n".join(b"a%d = 1" % number for number in range(5_000)),
)
LARGE_BYTES = (
    b"[" + b"{}," * 600_000 + b"{}]",
    b"{" + b",".join(b'"%d":null' % number for number in range(200_000)) + b"}",
    b'{"manifests":[' + b"[]," * 600_000 + b'[]],"errors":[]}',
)


@pytest.mark.parametrize("parser", BYTES_PARSERS, ids=str)
def test_long_bytes(parser: Parser) -> None:
    for data in (*LONG_BYTES, *LARGE_BYTES):
        outcome(parser.parse, data)


@pytest.mark.parametrize("parser", BYTES_PARSERS, ids=str)
def test_large_documents_take_little_memory(parser: Parser) -> None:
    for data in LARGE_BYTES:
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            failure(parser.parse, data)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert peak < MEGABYTES * 1_000_000, f"{peak / 1e6:.0f} MB for {data[:30]!r}"
