"""Parameters as Docker's daemon reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jupyter_containers.api.query import Query
from jupyter_containers.errors import InvalidArgumentError


def test_truth_is_all_but_a_few_words() -> None:
    query = Query("a=1&b=True&c=0&d=false&e=&f=no&g=yes")
    assert [query.flag(name) for name in "abcdefgh"] == [
        True, True, False, False, False, False, True, False,
    ]  # fmt: skip
    assert query.flag("h", default=True)


def test_moments_are_seconds_or_dates() -> None:
    query = Query("a=1700000000&b=1700000000.5&c=2023-11-14T22:13:20Z&d=0")
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert query.moment("a") == moment
    assert query.moment("b") == moment.replace(microsecond=500_000)
    assert query.moment("c") == moment
    assert query.moment("d") is query.moment("e") is None


@pytest.mark.parametrize("text", ["soon", "9" * 40, "1e9", "-5"])
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a time"):
        Query(f"since={text}").moment("since")


def test_filters_have_two_forms() -> None:
    assert Query('filters={"a":["b","c"]}').filters() == {"a": ("b", "c")}
    assert Query('filters={"a":{"b":true,"c":false}}').filters() == {"a": ("b",)}
    assert Query("").filters() == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"a":1}', '{"a":[1]}', "[" * 5000])
def test_other_filters_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid filters"):
        Query(f"filters={text}").filters()


def test_numbers_are_whole() -> None:
    assert Query("t=-1").whole("t") == -1
    with pytest.raises(InvalidArgumentError):
        Query("t=1.5").whole("t")
    with pytest.raises(InvalidArgumentError):
        Query("&".join(f"a{number}=1" for number in range(2000)))


@pytest.mark.parametrize("text", ["ulimits=null", "ulimits=", ""])
def test_a_document_that_is_null_is_none(text: str) -> None:
    """Seen to fail with the client of Docker 20.10: every build was refused."""
    assert Query(text).document("ulimits", list[dict[str, int]]) is None


def test_the_first_of_several_values_counts() -> None:
    """docker-py sends a Dockerfile's name in its context, and then its text, as ``dockerfile``.

    Seen to fail when the last value was taken: the text was looked for as a file.
    """
    query = Query("dockerfile=a&dockerfile=FROM+b&t=x&t=y")
    assert (query.text("dockerfile"), query.texts("t")) == ("a", ["x", "y"])
