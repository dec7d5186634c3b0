from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.panel.uploads import Uploads


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    uploads = Uploads()
    yield uploads
    uploads.close()


def test_parts_make_a_file(uploads: Uploads) -> None:
    uploads.add("a", 0, b"one ")
    uploads.add("b", 0, b"other")
    file = uploads.add("a", 4, b"two")
    file.seek(0)
    assert file.read() == b"one two"
    uploads.forget("a")
    assert file.closed
    uploads.forget("a")


@pytest.mark.parametrize(("token", "offset"), [("a", 0), ("a", 3), ("a", 9), ("new", 1)])
def test_a_part_that_is_not_the_next_is_refused(uploads: Uploads, token: str, offset: int) -> None:
    uploads.add("a", 0, b"four")
    with pytest.raises(InvalidArgumentError, match="missing"):
        uploads.add(token, offset, b"x")


def test_a_line_that_ends_forgets_what_is_unfinished(uploads: Uploads) -> None:
    files = [uploads.add(token, 0, b"x") for token in "abc"]
    uploads.close()
    assert all(file.closed for file in files)
