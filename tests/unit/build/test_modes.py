from __future__ import annotations

import pytest

from jupyter_containers.build.modes import ModeChange
from jupyter_containers.build.users import Owner, owner
from jupyter_containers.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "mode", "folder", "expected"),
    [
        ("0640", 0o777, False, 0o640),
        ("4755", 0, True, 0o4755),
        ("u+x", 0o644, False, 0o744),
        ("+x", 0o644, False, 0o755),
        ("a-w", 0o666, False, 0o444),
        ("go=", 0o777, False, 0o700),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("g=u", 0o640, False, 0o660),
        ("u+s,g+s", 0o755, False, 0o6755),
        ("+t", 0o777, True, 0o1777),
        ("u-x+w", 0o500, False, 0o600),
    ],
)
def test_applies(text: str, mode: int, folder: bool, expected: int) -> None:
    assert oct(ModeChange.parse(text).apply(mode, folder=folder)) == oct(expected)


@pytest.mark.parametrize("text", ["", "888", "77777", "u", "u+q", "u+x,", "rwx", "-1"])
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid chmod"):
        ModeChange.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", Owner(0, 0)),
        ("7", Owner(7, 7)),
        ("7:8", Owner(7, 8)),
        ("games", Owner(5, 60)),
        ("games:staff", Owner(5, 50)),
        ("games:9", Owner(5, 9)),
        ("9:staff", Owner(9, 50)),
        ("nobody", Owner(0, 0, ("nobody",))),
        ("nobody:nogroup", Owner(0, 0, ("nobody", "nogroup"))),
        ("99999999999999", Owner(0, 0)),
    ],
)
def test_owners(text: str, expected: Owner) -> None:
    assert owner(text, "bad\ngames:x:5:60::/:/bin/sh\n", "staff:x:50:\n") == expected
