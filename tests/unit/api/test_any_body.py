"""Every body that the API declares: any value at any field is taken, or refused in one line."""

from __future__ import annotations

import contextlib
import json
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jupyter_containers.api
from jupyter_containers.api.bodies import Fields, decode
from jupyter_containers.api.query import Query
from jupyter_containers.errors import ContainersError, InvalidArgumentError

for _path in Path(jupyter_containers.api.__file__).parent.glob("*.py"):
    import_module(f"jupyter_containers.api.{_path.stem}")


def _declared(kind: type[Fields]) -> list[type[Fields]]:
    return [one for sub in kind.__subclasses__() for one in (sub, *_declared(sub))]


BODIES = sorted(set(_declared(Fields)), key=lambda kind: kind.__qualname__)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def _places(kind: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of a type: fields by name, items by 0, values of a mapping by ``"k"``."""
    found: list[tuple[Any, ...]] = [path] if path else []
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, Fields):
        for name, hint in get_type_hints(kind).items():
            if not name.startswith("__"):
                found += _places(hint, (*path, name))
    elif origin in (Union, UnionType):
        found += [place for part in get_args(kind) for place in _places(part, path)[1:]]
    elif origin in (tuple, list):
        found += _places(get_args(kind)[0], (*path, 0))
    elif origin is dict:
        found += _places(get_args(kind)[1], (*path, "k"))
    return found


PLACES = [(kind, place) for kind in BODIES for place in _places(kind)]


def test_all_of_them_are_here() -> None:
    names = {kind.__name__ for kind in BODIES}
    assert {"ContainerBody", "Update", "ExecBody", "StartBody", "NetworkBody", "Login"} <= names
    assert (BODIES[0], ()) not in PLACES
    assert len(PLACES) > 150


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(PLACES), _VALUES)
def test_any_value_at_any_field_is_taken_or_refused(
    place: tuple[type[Fields], tuple[Any, ...]], value: Any
) -> None:
    kind, path = place
    body: Any = value
    for part in reversed(path):
        body = [body] if part == 0 else {part: body}
    with contextlib.suppress(InvalidArgumentError):  # any other error fails the test
        made = decode(json.dumps(body), kind)
        for name in ("flags", "text", "request"):
            with contextlib.suppress(ContainersError, TypeError):
                member = getattr(made, name, None)
                if callable(member):
                    member()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_body_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidArgumentError):
        decode(data, BODIES[0])


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_parameter_or_refused(text: str) -> None:
    from urllib.parse import quote

    query = Query(
        f"a={quote(text, errors='surrogatepass')}&filters={quote(text, errors='replace')}"
    )
    for read in (query.text, query.texts, query.flag, query.whole, query.moment):
        with contextlib.suppress(InvalidArgumentError):
            read("a")
    with contextlib.suppress(InvalidArgumentError):
        query.filters()


@pytest.mark.parametrize("text", ["%ff", "a=%ff%fe", "%00", "&" * 2000])
def test_addresses_that_cannot_be_read_are_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        Query(text)
