from __future__ import annotations

import pytest

from jupyter_containers.errors import StorageError
from jupyter_containers.store.faults import finishing


def _full() -> None:
    raise StorageError("disk full")


def test_a_clean_up_that_fails_does_not_hide_the_first_error() -> None:
    with pytest.raises(KeyError, match="first"), finishing(_full):
        raise KeyError("first")


def test_a_clean_up_that_fails_alone_is_told() -> None:
    with pytest.raises(StorageError), finishing(_full):
        pass


def test_the_clean_up_always_happens() -> None:
    done: list[int] = []
    with finishing(lambda: done.append(1)):
        pass
    with pytest.raises(KeyError), finishing(lambda: done.append(2)):
        raise KeyError
    assert done == [1, 2]


def test_a_clean_up_that_fails_for_a_moment_is_tried_again() -> None:
    tries: list[int] = []

    def clean_up() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StorageError("disk full")

    with pytest.raises(ValueError, match="first"), finishing(clean_up):
        raise ValueError("first")
    assert len(tries) == 3
